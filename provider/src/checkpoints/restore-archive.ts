import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  type CheckpointManifest,
  checkpointManifest,
} from '@computefabric/protocol/provider-api/v1/checkpoints';
import { toError } from '@computefabric/runtime/errors';
import { pack } from 'tar-stream';

/** What came is not what was saved. */
export class StateMismatch extends Error {
  override readonly name = 'StateMismatch';
}

/** Whether these bytes are the chunk of that name. */
export function isChunk(bytes: Uint8Array, sha256: string): boolean {
  return sha256Of(bytes) === sha256;
}

const sha256Of = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/**
 * The manifest in this text.
 *
 * @throws StateMismatch when it has another hash, or holds what no state may hold
 */
export function readManifest(text: string, sha256: string): CheckpointManifest {
  if (sha256Of(text) !== sha256) throw new StateMismatch('the list of files has another hash');
  // Checked here too: what is unpacked on the owner's machine is decided on the owner's machine.
  const parsed = checkpointManifest.safeParse(JSON.parse(text));
  if (!parsed.success) throw new StateMismatch('the list of files is not valid');
  return parsed.data;
}

/**
 * The archive from which the engine makes the state again. Chunks are fetched as they are needed, at most two in
 * memory, and held against their hashes before a byte of them goes on; a wrong one ends the archive with
 * `StateMismatch`. Links come last, so that nothing is ever unpacked through one.
 *
 * @returns the archive, and a promise that tells what ended it early
 */
export function stateArchive(
  manifest: CheckpointManifest,
  fetchChunk: (sha256: string) => Promise<Buffer>,
): { archive: Readable; done: Promise<void> } {
  const tar = pack();
  // Whoever waits for `done` learns of a failure; as an event that nobody hears it would end the process.
  tar.on('error', () => undefined);
  const write = async () => {
    for (const { path, mode, uid, gid } of manifest.folders) {
      tar.entry({ name: `${path}/`, type: 'directory', mode, uid, gid });
    }
    for (const file of manifest.files) {
      const { path: name, mode, uid, gid, size_bytes: size } = file;
      const mtime = new Date(file.mtime_seconds * 1_000);
      await new Promise<void>((resolve, reject) => {
        const entry = tar.entry({ name, mode, uid, gid, size, mtime }, (error) =>
          error ? reject(error) : resolve(),
        );
        entry.on('error', () => undefined); // likewise
        fill(entry, file.chunks, fetchChunk).catch((thrown: unknown) => reject(toError(thrown)));
      });
    }
    for (const { path, target } of manifest.links) {
      tar.entry({ name: path, type: 'symlink', linkname: target, mode: 0o777, uid: 0, gid: 0 });
    }
    tar.finalize();
  };
  const archive = Readable.from(tar, { objectMode: false });
  archive.on('error', () => undefined); // likewise
  const done = write().catch((thrown: unknown) => {
    tar.destroy(toError(thrown));
    throw thrown;
  });
  done.catch(() => undefined); // awaited by whoever sends the archive
  return { archive, done };
}

/** Whoever reads the archive has taken some of it, or has gone. */
function roomOrEnd(entry: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    entry.once('drain', resolve);
    entry.once('close', resolve);
  });
}

async function fill(
  entry: NodeJS.WritableStream,
  hashes: readonly string[],
  fetchChunk: (sha256: string) => Promise<Buffer>,
): Promise<void> {
  for (const hash of hashes) {
    const bytes = await fetchChunk(hash);
    if (!isChunk(bytes, hash)) throw new StateMismatch('a chunk has another hash');
    if (!entry.write(bytes)) await roomOrEnd(entry);
  }
  entry.end();
}
