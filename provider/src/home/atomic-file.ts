import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

let counter = 0;

export interface AtomicWriteOptions {
  /** Permission bits; 0o600 unless others must read it. */
  mode?: number;
  /** False: survives the death of this process but perhaps not a power cut, and costs no wait for the disk. */
  durable?: boolean;
}

/**
 * Replaces a file so that a reader, or we after a crash, find either the old content or the new one, whole:
 * write aside, fsync, rename, fsync the folder.
 */
export async function writeFileAtomically(
  path: string,
  content: string,
  { mode = 0o600, durable = true }: AtomicWriteOptions = {},
): Promise<void> {
  counter += 1;
  const aside = `${path}.${process.pid}.${counter}.tmp`;
  try {
    const handle = await open(aside, 'w', mode);
    try {
      await handle.writeFile(content);
      if (durable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  if (durable) await syncFolder(dirname(path));
}

/** Makes a rename or a new file in the folder survive a power cut. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems cannot sync a folder; the rename is then as durable as they make it.
    if (!(error instanceof Error && 'code' in error && (error.code === 'EINVAL' || error.code === 'EPERM')))
      throw error;
  } finally {
    await handle.close();
  }
}
