import type { Readable } from 'node:stream';
import { isInnerLink } from '@computefabric/protocol/provider-api/v1/checkpoints';
import { toError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { extract, type Header } from 'tar-stream';
import { feedArchive, isSafePath, showName } from './collect-outputs.ts';
import type { StateEntry, StateLimits, StateSink, StateSummary } from './container-driver.ts';
import { ContainerError } from './container-error.ts';

const mostSkippedListed = 20;
const mostOwner = 2_147_483_647;
/** A link is only a text in a header, and so is a name that is left out. */
const mostEntriesFactor = 2;

/**
 * Reads the engine's archive of a state directory. As with results nothing but names and bytes is looked at: no
 * link is followed and nothing is written to this machine's disk here. Regular files, folders and links that
 * stay inside are handed on; devices, pipes, outward links and unsafe names are listed as skipped. A state that
 * is larger than allowed is none at all: half of it would be worse.
 *
 * @throws ContainerError `state-too-large`, `state-unreadable`; whatever `sink` throws
 */
export async function readStateArchive(
  archive: Readable,
  limits: StateLimits,
  sink: StateSink,
): Promise<StateSummary> {
  const summary: StateSummary = { bytes: 0, skipped: [], skippedCount: 0 };
  const skip = (path: string, why: string) => {
    summary.skippedCount += 1;
    if (summary.skipped.length < mostSkippedListed) summary.skipped.push(`${showName(path)} (${why})`);
  };
  let taken = 0;
  let seen = 0;
  const tar = extract();
  feedArchive(archive, tar).catch((error: unknown) => tar.destroy(toError(error)));
  try {
    for await (const content of tar) {
      const { header } = content;
      seen += 1;
      const entry = judge(header);
      if (seen === 1 && entry.kind !== 'root') throw unreadable('is not a directory any more');
      if (entry.kind === 'skip') skip(entry.path, entry.why);
      if (entry.kind === 'file') summary.bytes += header.size ?? 0;
      if (entry.kind !== 'skip' && entry.kind !== 'root') taken += 1;
      // Judged by what the headers say, before a byte of it is read: a sparse file can claim terabytes.
      const passed = entry.kind === 'skip' ? (header.size ?? 0) : 0;
      if (summary.bytes + passed > limits.maxBytes) throw tooLarge(`more than ${limits.maxBytes} bytes`);
      if (taken > limits.maxEntries || seen > mostEntriesFactor * limits.maxEntries + 1) {
        throw tooLarge(`more than ${limits.maxEntries} files and folders`);
      }
      if (entry.kind === 'skip' || entry.kind === 'root') content.resume();
      else if (entry.kind === 'file') {
        await handOn(() => sink({ ...entry, content: bytesOf(content) }));
      } else {
        content.resume();
        await handOn(() => sink(entry));
      }
    }
    if (seen === 0) throw unreadable('came as an empty archive');
    return summary;
  } catch (error) {
    if (error instanceof SinkFailure) throw error.cause;
    if (error instanceof ContainerError) throw error;
    throw new ContainerError('state-unreadable', `the state could not be read: ${toError(error).message}`, {
      cause: error,
    });
  } finally {
    archive.destroy();
  }
}

/** What the receiver threw, told apart from what the archive threw. */
class SinkFailure extends Error {}

async function handOn(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new SinkFailure('the receiver failed', { cause: error });
  }
}

async function* bytesOf(content: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of content) {
      invariant(part instanceof Uint8Array, 'an archive is made of bytes');
      yield part;
    }
  } catch (error) {
    // Else it would look as if the receiver had failed.
    throw new ContainerError('state-unreadable', `the state could not be read: ${toError(error).message}`, {
      cause: error,
    });
  }
}

type Judged =
  | Exclude<StateEntry, { kind: 'file' }>
  | Omit<Extract<StateEntry, { kind: 'file' }>, 'content'>
  | { kind: 'root' }
  | { kind: 'skip'; path: string; why: string };

function judge(header: Header): Judged {
  const path = belowRoot(header.name);
  if (path === '')
    return { kind: header.type === 'directory' ? 'root' : 'skip', path: header.name, why: 'root' };
  if (!isSafePath(path)) return { kind: 'skip', path, why: 'unsafe-name' };
  const attributes = {
    path,
    mode: (header.mode ?? 0o644) & 0o777,
    uid: ownerOf(header.uid),
    gid: ownerOf(header.gid),
  };
  switch (header.type) {
    case 'directory':
      return { kind: 'folder', ...attributes };
    case 'file':
    case 'contiguous-file': {
      const mtimeSeconds = Math.max(0, Math.floor((header.mtime?.getTime() ?? 0) / 1_000));
      return { kind: 'file', ...attributes, mtimeSeconds, sizeBytes: header.size ?? 0 };
    }
    case 'symlink': {
      const target = header.linkname ?? '';
      if (target === '' || !isInnerLink(path, target)) return { kind: 'skip', path, why: 'link out of it' };
      return { kind: 'link', path, target };
    }
    case 'link': {
      const of = belowRoot(header.linkname ?? '');
      return of === '' ? { kind: 'skip', path, why: 'hard-link' } : { kind: 'same-as', path, of };
    }
    case 'fifo':
    case 'character-device':
    case 'block-device':
      return { kind: 'skip', path, why: header.type };
    default:
      return { kind: 'skip', path, why: 'unknown-type' };
  }
}

/** Every name begins with the directory that was asked for. */
function belowRoot(name: string): string {
  const slash = name.indexOf('/');
  return slash < 0 ? '' : name.slice(slash + 1).replace(/\/$/, '');
}

function ownerOf(id: number | undefined): number {
  return id !== undefined && id >= 0 && id <= mostOwner ? id : 0;
}

function unreadable(how: string): ContainerError {
  return new ContainerError('state-unreadable', `the state directory ${how}`);
}

function tooLarge(how: string): ContainerError {
  return new ContainerError('state-too-large', `the state directory holds ${how}`);
}
