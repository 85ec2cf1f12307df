import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { isProcessAlive, processIdentity } from './process-identity.ts';

const lockOwner = z.object({ pid: z.number().int(), identity: z.string() });
/** The process that holds a lock: its number, and its start time because numbers are used again. */
export type LockOwner = z.infer<typeof lockOwner>;

export interface HomeLock {
  release(): Promise<void>;
  /** False when somebody else's lock stands in its place. */
  isHeld(): Promise<boolean>;
  /** Leaves a sign of life: a holder that is frozen leaves none. */
  touch(): Promise<void>;
}

export type LockResult = { kind: 'locked'; lock: HomeLock } | { kind: 'held'; owner: LockOwner };

/**
 * Takes a lock file for this process. The lock of a dead process (kill -9, power cut) is taken over; a frozen
 * process keeps its own.
 */
export async function takeLock(path: string): Promise<LockResult> {
  const me: LockOwner = { pid: process.pid, identity: processIdentity(process.pid) ?? '' };
  const mine = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await writeFile(mine, JSON.stringify(me), { mode: 0o600 });
  try {
    // Ten rounds: each lost round means that somebody else has just taken the lock or given it back.
    for (let round = 0; round < 10; round += 1) {
      // A link fails when the name exists and appears with its content: there is never an empty lock.
      if (await linkIfFree(mine, path)) return { kind: 'locked', lock: heldLock(path, me) };
      const owner = await readLock(path);
      if (owner && isProcessAlive(owner)) return { kind: 'held', owner };
      await removeStale(path, owner);
    }
    throw new Error(`the lock ${path} changes hands too quickly`);
  } finally {
    await rm(mine, { force: true });
  }
}

/** Who a lock file names, dead or alive; null when there is none or it cannot be read. */
export async function readLock(path: string): Promise<LockOwner | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return null; // No lock.
  }
  try {
    return lockOwner.parse(JSON.parse(text));
  } catch {
    return null; // A lock that names nobody is nobody's.
  }
}

/** When the holder last left a sign of life, by the file system; null when there is no lock. */
export async function lastSignOfLife(path: string): Promise<number | null> {
  try {
    return (await stat(path)).mtimeMs;
  } catch {
    return null; // No lock.
  }
}

function heldLock(path: string, me: LockOwner): HomeLock {
  const isHeld = async () => {
    const owner = await readLock(path);
    return owner?.pid === me.pid && owner.identity === me.identity;
  };
  return {
    isHeld,
    touch: async () => {
      const now = new Date();
      await utimes(path, now, now);
    },
    release: async () => {
      if (await isHeld()) await rm(path, { force: true });
    },
  };
}

/**
 * Moves a dead owner's lock aside, then looks at what was moved: if another process took the lock over in
 * between, its lock is put back.
 */
async function removeStale(path: string, stale: LockOwner | null): Promise<void> {
  const aside = `${path}.stale.${process.pid}`;
  try {
    await rename(path, aside);
  } catch {
    return; // Somebody was quicker; the next round sees what is there now.
  }
  const moved = await readLock(aside);
  if (moved && moved.identity !== stale?.identity) await linkIfFree(aside, path);
  await rm(aside, { force: true });
}

async function linkIfFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}
