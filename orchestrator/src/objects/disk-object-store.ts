import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { invariant } from '@computefabric/runtime/invariant';
import { checkedBytes } from './checked-bytes.ts';
import { isObjectKey, type ObjectFacts, type ObjectStore } from './object-store.ts';

/** No request lasts for half as long as nothing must have been written to a file that counts as left over. */
const leftOverMs = 3_600_000;

/**
 * Objects in a folder, each at its key. Bytes arrive in `incoming/`, are forced to disk and then renamed, so a
 * file at its final place is always whole. What a crash left in `incoming/` is removed here, long after: another
 * orchestrator on the same folder may be receiving now.
 */
export async function openDiskObjectStore(root: string): Promise<ObjectStore> {
  const incoming = join(root, 'incoming');
  await mkdir(incoming, { recursive: true });
  await removeLeftOvers(incoming);

  return {
    async put(key, body, facts, signal) {
      const final = pathOf(root, key);
      const temporary = join(incoming, randomUUID());
      try {
        await receive(temporary, body, facts, signal);
        await mkdir(dirname(final), { recursive: true });
        await rename(temporary, final);
        await flushFolder(dirname(final));
      } catch (thrown) {
        await rm(temporary, { force: true });
        throw thrown;
      }
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

    async remove(key) {
      await rm(pathOf(root, key), { force: true });
    },
  };
}

async function receive(
  path: string,
  body: AsyncIterable<Uint8Array>,
  facts: ObjectFacts,
  signal: AbortSignal,
) {
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const bytes of checkedBytes(body, facts, signal)) await file.write(bytes);
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

async function removeLeftOvers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const facts = await stat(path).catch(() => null); // renamed or removed meanwhile
    if (facts && Date.now() - facts.mtimeMs > leftOverMs) await rm(path, { force: true });
  }
}

function pathOf(root: string, key: string): string {
  invariant(isObjectKey(key), 'an object has a key of ours');
  return join(root, key);
}
