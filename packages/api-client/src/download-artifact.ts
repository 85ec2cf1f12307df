import { createHash, randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import {
  type Artifact,
  downloadArtifact as downloadContract,
} from '@computefabric/protocol/user-api/artifacts';
import { HashMismatchError } from './errors.ts';
import { retrying } from './retrying.ts';
import type { Transport } from './transport.ts';

/** A path, or a stream, which is not ended. */
export type DownloadTarget = string | Writable;

export interface DownloadOptions {
  signal?: AbortSignal | undefined;
  /** Told after every piece; `doneBytes` starts again when a broken download does. */
  onProgress?: ((doneBytes: number) => void) | undefined;
}

/** See `artifactCalls`. A download to a path is tried again from its start; bytes given to a stream are gone. */
export async function downloadArtifact(
  transport: Transport,
  job: string,
  artifact: Artifact,
  target: DownloadTarget,
  options: DownloadOptions,
): Promise<void> {
  if (typeof target !== 'string') {
    await copyChecked(transport, job, artifact, options, (chunk) => writeTo(target, chunk));
    return;
  }
  await retrying(transport, options.signal, () => downloadToFile(transport, job, artifact, target, options));
}

/** Writes beside the target and renames once the hash is right, so that a half file never has its name. */
async function downloadToFile(
  transport: Transport,
  job: string,
  artifact: Artifact,
  path: string,
  options: DownloadOptions,
): Promise<void> {
  const unfinished = `${path}.${randomUUID().slice(0, 8)}.partial`;
  const file = await open(unfinished, 'wx');
  try {
    try {
      await copyChecked(transport, job, artifact, options, async (chunk) => {
        await file.writeFile(chunk);
      });
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch (thrown) {
    await rm(unfinished, { force: true });
    throw thrown;
  }
}

async function copyChecked(
  transport: Transport,
  job: string,
  artifact: Artifact,
  options: DownloadOptions,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const stream = await transport.open(downloadContract, {
    params: { job, artifact: artifact.id },
    signal: options.signal,
  });
  const hash = createHash('sha256');
  let doneBytes = 0;
  for await (const chunk of stream.chunks) {
    doneBytes += chunk.byteLength;
    // Stop at the first byte too many instead of filling the disk.
    if (doneBytes > artifact.size_bytes) break;
    hash.update(chunk);
    await write(chunk);
    options.onProgress?.(doneBytes);
  }
  if (doneBytes !== artifact.size_bytes || hash.digest('hex') !== artifact.sha256.toLowerCase()) {
    throw new HashMismatchError(
      `${artifact.path}: the bytes received are not those that the server announced`,
    );
  }
}

async function writeTo(stream: Writable, chunk: Uint8Array): Promise<void> {
  if (stream.write(chunk)) return;
  const left = new AbortController();
  try {
    await Promise.race([
      new Promise<void>((resolve) => {
        stream.once('drain', resolve);
        left.signal.addEventListener('abort', () => stream.off('drain', resolve), { once: true });
      }),
      finished(stream, { signal: left.signal, readable: false }), // rejects when the reader goes away
    ]);
  } finally {
    left.abort();
  }
}
