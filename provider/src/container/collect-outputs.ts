import { PassThrough, type Readable } from 'node:stream';
import { toError } from '@computefabric/runtime/errors';
import { type Extract, extract, type Header } from 'tar-stream';
import type { OutputCollection, OutputFileSink, OutputLimits, SkipReason } from './container-driver.ts';
import { ContainerError } from './container-error.ts';

type Entry = Extract extends AsyncIterable<infer Item> ? Item : never;

const MAX_SKIPPED_LISTED = 100;
const MAX_PATH_BYTES = 4096;
/** Directories, links and the like cost time too; this many of them beside the files are walked through. */
const OTHER_ENTRIES = 10_000;

/**
 * Reads the engine's archive of `/outputs`. Whatever the task left there is only looked at as names and bytes
 * here; nothing is written to this machine's disk and no link is followed.
 *
 * The archive cannot be jumped around in: leaving a file out means reading past it. So at most as many bytes are
 * read past as may be kept, then reading stops (a sparse file can claim terabytes).
 *
 * @throws ContainerError `outputs-unreadable` when the archive breaks off or is malformed; whatever `onFile` throws
 */
export async function collectFromArchive(
  archive: Readable,
  limits: OutputLimits,
  onFile: OutputFileSink,
): Promise<OutputCollection> {
  const result = noOutputs();
  let entries = 0;
  let passedBytes = 0;
  const skip = (path: string, reason: SkipReason) => {
    result.skippedCount += 1;
    if (result.skipped.length < MAX_SKIPPED_LISTED) result.skipped.push({ path: showName(path), reason });
  };

  const tar = extract();
  // Errors of the archive reach the loop below through `destroy`: a plain pipe would lose them, and an error thrown
  // inside a callback of the tar reader would end the process.
  feedArchive(archive, tar).catch((error: unknown) => tar.destroy(toError(error)));
  try {
    for await (const entry of tar) {
      entries += 1;
      const sizeBytes = entry.header.size;
      const verdict = judge(entry.header, result, limits);
      if (verdict.kind === 'take') {
        await handOver(entry, (content) => onFile(verdict.path, sizeBytes, content));
        result.files += 1;
        result.bytes += sizeBytes;
        continue;
      }
      if (verdict.kind === 'skip') skip(verdict.path, verdict.reason);
      passedBytes += sizeBytes;
      if (passedBytes > limits.maxBytes || entries > limits.maxFiles + OTHER_ENTRIES) {
        result.truncated = true;
        break;
      }
      entry.resume();
    }
    return result;
  } catch (error) {
    if (error instanceof SinkFailure) throw error.cause;
    throw new ContainerError('outputs-unreadable', 'the archive of /outputs could not be read', {
      cause: error,
    });
  } finally {
    archive.destroy();
  }
}

/** What a task without `/outputs` has. */
export function noOutputs(): OutputCollection {
  return { files: 0, bytes: 0, skipped: [], skippedCount: 0, truncated: false };
}

/** Gives an archive to its reader, at the reader's pace. */
export async function feedArchive(archive: Readable, tar: Extract): Promise<void> {
  for await (const chunk of archive) {
    if (tar.destroyed) return;
    if (!tar.write(chunk)) await roomOrEnd(tar);
  }
  tar.end(null);
}

interface Drainable {
  on(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
}

/** Waits for a full stream, without leaving a listener behind on it for every wait. */
function roomOrEnd(stream: Drainable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}

/** What the receiver of the files threw, told apart from what the archive threw. */
class SinkFailure extends Error {}

/** Gives one file to the receiver at the receiver's pace; what the receiver leaves is read past. */
async function handOver(entry: Entry, sink: (content: Readable) => Promise<void>): Promise<void> {
  const content = new PassThrough();
  // A receiver that has stopped listening must not end the process.
  content.on('error', () => undefined);
  const sinkState = { done: false };
  const receiving = sink(content).then(
    () => {
      sinkState.done = true;
    },
    (error: unknown) => {
      sinkState.done = true;
      throw new SinkFailure('the receiver failed', { cause: error });
    },
  );
  // Awaited below, maybe only after the next part of the archive has come.
  receiving.catch(() => undefined);
  try {
    for await (const chunk of entry) {
      if (sinkState.done) await receiving; // a failed receiver ends the collection at once
      if (sinkState.done || content.destroyed || content.write(chunk)) continue;
      await Promise.race([receiving, roomOrEnd(content)]);
    }
    content.end();
  } catch (error) {
    content.destroy(toError(error));
    await receiving.catch(() => undefined); // the archive's failure is the one to report
    throw error;
  }
  await receiving;
}

type Verdict =
  | { kind: 'take'; path: string }
  | { kind: 'skip'; path: string; reason: SkipReason }
  /** A directory: part of the names below it. */
  | { kind: 'pass' };

function judge(header: Header, soFar: OutputCollection, limits: OutputLimits): Verdict {
  // Every name begins with the directory that was asked for.
  const slash = header.name.indexOf('/');
  const path = slash < 0 ? '' : header.name.slice(slash + 1);
  const skip = (reason: SkipReason): Verdict => ({ kind: 'skip', path: path || header.name, reason });
  switch (header.type) {
    case 'directory':
      return { kind: 'pass' };
    case 'file':
    case 'contiguous-file':
      break;
    case 'symlink':
      return skip('symlink');
    case 'link':
      return skip('hard-link');
    case 'character-device':
    case 'block-device':
      return skip('device');
    case 'fifo':
      return skip('fifo');
    default:
      return skip('unknown-type');
  }
  if (!isSafePath(path)) return skip('unsafe-name');
  if (soFar.files >= limits.maxFiles) return skip('too-many-files');
  if (soFar.bytes + header.size > limits.maxBytes) return skip('too-many-bytes');
  return { kind: 'take', path };
}

/**
 * Whether a name can be stored, shown and written below a directory on any system: relative, without `..`, control
 * or direction-changing characters, backslashes, a drive letter, or bytes that are not UTF-8.
 */
export function isSafePath(path: string): boolean {
  if (path === '' || Buffer.byteLength(path) > MAX_PATH_BYTES) return false;
  if (/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffd\\]/.test(path)) return false;
  if (/^[A-Za-z]:/.test(path)) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** A name that a task chose, as it may be written into a log or a report. */
export function showName(path: string): string {
  return JSON.stringify(path.slice(0, 200))
    .slice(1, -1)
    .replace(/[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (character) => {
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
    });
}
