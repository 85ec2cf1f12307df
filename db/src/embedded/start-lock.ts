import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isProcessAlive, processIdentity } from './process-identity.ts';

const PREFIX = 'start-lock-';
const POLL_MS = 50;

interface Holder {
  pid: number;
  identity: string;
  released: boolean;
}

/**
 * Runs `work` while no other process does the same in this directory.
 *
 * A starter killed with `kill -9` leaves its lock behind, so a lock must be taken from the dead without two
 * waiters taking it at once: "remove the stale file, create mine" lets the slower one remove the faster
 * one's new lock. Therefore numbers only ever grow: the holder is the highest number, the next one is
 * created whole by `link` (which fails if it exists) only when the highest is released or its process is
 * dead, and whoever finds a number above its own gives up and looks again.
 *
 * @param timeoutMs how long to wait for another holder, in milliseconds.
 * @throws Error naming the process that holds the lock when the time is over.
 */
export async function withStartLock<T>(
  directory: string,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const number = await acquire(directory, timeoutMs);
  try {
    return await work();
  } finally {
    release(directory, number);
  }
}

async function acquire(directory: string, timeoutMs: number): Promise<number> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const top = highestNumber(directory);
    const holder = top === 0 ? null : readHolder(directory, top);
    if (holder === null || holder.released || !isHeld(holder)) {
      if (tryCreate(directory, top + 1)) return top + 1;
      continue;
    }
    if (Date.now() > deadline) {
      throw new Error(
        `Another process (${holder.pid}) has been starting or stopping the embedded database in ${directory} ` +
          `for more than ${Math.round(timeoutMs / 1000)} seconds. End that process and try again.`,
      );
    }
    await delay(POLL_MS);
  }
}

function tryCreate(directory: string, number: number): boolean {
  const temporary = join(directory, `.lock-${randomBytes(6).toString('hex')}`);
  const holder: Holder = { pid: process.pid, identity: processIdentity(process.pid), released: false };
  writeFileSync(temporary, JSON.stringify(holder), { flag: 'wx', mode: 0o644 });
  try {
    linkSync(temporary, lockFile(directory, number));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  // Somebody went past us between our look and our link (and cleaned up our number): theirs is the lock.
  if (highestNumber(directory) > number) {
    rmSync(lockFile(directory, number), { force: true });
    return false;
  }
  for (const lower of numbers(directory).filter((other) => other < number)) {
    rmSync(lockFile(directory, lower), { force: true });
  }
  return true;
}

/** The number stays taken; only its content changes, so that nobody can create the same number again. */
function release(directory: string, number: number): void {
  const temporary = join(directory, `.lock-${randomBytes(6).toString('hex')}`);
  const holder: Holder = { pid: process.pid, identity: '', released: true };
  writeFileSync(temporary, JSON.stringify(holder), { flag: 'wx', mode: 0o644 });
  renameSync(temporary, lockFile(directory, number));
}

function isHeld(holder: Holder): boolean {
  return isProcessAlive(holder.pid) && processIdentity(holder.pid) === holder.identity;
}

function readHolder(directory: string, number: number): Holder | null {
  let text: string;
  try {
    text = readFileSync(lockFile(directory, number), 'utf8');
  } catch (error) {
    // Cleaned up by the holder of a higher number since we looked: look again.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null)
    throw new Error(`${lockFile(directory, number)} is damaged`);
  return {
    pid: 'pid' in value && typeof value.pid === 'number' ? value.pid : 0,
    identity: 'identity' in value && typeof value.identity === 'string' ? value.identity : '',
    released: 'released' in value && value.released === true,
  };
}

const lockFile = (directory: string, number: number): string => join(directory, `${PREFIX}${number}`);

const numbers = (directory: string): number[] =>
  readdirSync(directory)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => Number(name.slice(PREFIX.length)))
    .filter((number) => Number.isSafeInteger(number) && number > 0);

const highestNumber = (directory: string): number => Math.max(0, ...numbers(directory));
