import { link, mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { processIdentity } from './end-process.mjs';

/**
 * A lock between processes: a file that names its owner. A lock whose owner is gone (kill -9, a
 * power cut) is taken over; the process start time in it keeps a recycled pid from looking alive.
 *
 * @typedef {object} LockOwner
 * @property {number} pid
 * @property {string} identity Start time of that process.
 *
 * @param {string} path
 * @returns {Promise<{ release: () => Promise<void> } | { owner: LockOwner }>} `owner` when a living
 *   process holds it.
 */
export async function tryLock(path) {
  await mkdir(dirname(path), { recursive: true });
  const me = { pid: process.pid, identity: processIdentity(process.pid) ?? '' };
  const mine = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await writeFile(mine, JSON.stringify(me));
  try {
    // Ten rounds: each lost round means that somebody else just took or gave back the lock.
    for (let round = 0; round < 10; round++) {
      try {
        // link() fails when the name exists, and the file appears with its content: no empty lock.
        await link(mine, path);
        return { release: () => rm(path, { force: true }) };
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      }
      const owner = await readOwner(path);
      if (owner !== undefined && processIdentity(owner.pid) === owner.identity) return { owner };
      if (owner !== undefined) await removeStale(path, owner);
    }
    throw new Error(`the lock ${path} changes hands too quickly`);
  } finally {
    await rm(mine, { force: true });
  }
}

/**
 * Runs `work` while holding the lock, waiting for its turn.
 *
 * @template T
 * @param {string} path
 * @param {{ deadlineSeconds: number, onWait?: (owner: LockOwner) => void }} options
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, { deadlineSeconds, onWait }, work) {
  const deadline = Date.now() + deadlineSeconds * 1000;
  for (;;) {
    const lock = await tryLock(path);
    if ('release' in lock) {
      try {
        return await work();
      } finally {
        await lock.release();
      }
    }
    if (Date.now() > deadline) {
      throw new Error(`process ${lock.owner.pid} has held ${path} for more than ${deadlineSeconds} s`);
    }
    onWait?.(lock.owner);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** @param {string} path @returns {Promise<LockOwner | undefined>} undefined when the file is gone. */
async function readOwner(path) {
  try {
    const { pid, identity } = JSON.parse(await readFile(path, 'utf8'));
    return { pid: Number(pid), identity: String(identity) };
  } catch (error) {
    if (error instanceof SyntaxError) return { pid: 0, identity: 'unreadable' };
    return undefined;
  }
}

/**
 * Moves the dead owner's lock aside, then looks at what was moved: if a third process took the lock
 * over in between, its lock is put back.
 * @param {string} path @param {LockOwner} stale
 */
async function removeStale(path, stale) {
  const aside = `${path}.stale.${process.pid}`;
  try {
    await rename(path, aside);
  } catch {
    return; // Somebody else was quicker; the next round sees what is there now.
  }
  const moved = await readOwner(aside);
  if (moved !== undefined && moved.identity !== stale.identity) {
    try {
      await link(aside, path);
    } catch {
      // A fourth process took the free name; the owner we moved aside lost its lock to it. Only
      // reachable when several processes take over the same dead lock within a millisecond.
    }
  }
  await unlink(aside);
}
