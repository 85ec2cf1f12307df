import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import type { BlobFacts, BlobStore } from './blob-store.ts';

/**
 * Blobs in a folder: `<first two characters>/<sha-256>`. Bytes arrive in `incoming/`, are forced to disk and
 * then renamed, so a file at its final place is always whole. What a crash left in `incoming/` is removed here.
 */
export async function openDiskBlobStore(root: string): Promise<BlobStore> {
  const incoming = join(root, 'incoming');
  await mkdir(incoming, { recursive: true });
  for (const name of await readdir(incoming)) await rm(join(incoming, name), { force: true });

  return {
    async put(body, facts, signal) {
      const temporary = join(incoming, randomUUID());
      try {
        await receive(temporary, body, facts, signal);
        const folder = join(root, facts.sha256.slice(0, 2));
        await mkdir(folder, { recursive: true });
        await rename(temporary, pathOf(root, facts.sha256));
        await flushFolder(folder);
      } catch (thrown) {
        await rm(temporary, { force: true });
        throw thrown;
      }
      return facts.sha256;
    },

    async open(key, { start, end }) {
      const file = await open(pathOf(root, key), 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      if (!file) return null;
      if (end < start) {
        await file.close();
        return Readable.from([]);
      }
      return file.createReadStream({ start, end });
    },
  };
}

async function receive(path: string, body: AsyncIterable<Uint8Array>, facts: BlobFacts, signal: AbortSignal) {
  const file = await open(path, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for await (const bytes of body) {
      signal.throwIfAborted();
      sizeBytes += bytes.byteLength;
      // Checked before it is written: a sender cannot fill the disk beyond what it announced.
      if (sizeBytes > facts.sizeBytes) throw mismatch(`more than the ${facts.sizeBytes} bytes announced`);
      hash.update(bytes);
      await file.write(bytes);
    }
    if (sizeBytes !== facts.sizeBytes)
      throw mismatch(`${sizeBytes} bytes, not the ${facts.sizeBytes} announced`);
    if (hash.digest('hex') !== facts.sha256) throw mismatch('another hash than announced');
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Forces the folder's entry to disk, or a crash could forget the rename. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function pathOf(root: string, key: string): string {
  invariant(/^[0-9a-f]{64}$/.test(key), 'a blob key is a hash');
  return join(root, key.slice(0, 2), key);
}

function mismatch(what: string): AppError {
  return new AppError('artifact/hash-mismatch', { message: `The bytes received are ${what}.` });
}
