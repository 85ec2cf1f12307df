import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * What tells a process from a later one with the same number: its start time. Null when there is no such
 * process (one that has ended and only waits to be reaped counts as gone).
 */
export function processIdentity(pid: number): string | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  return process.platform === 'linux' ? identityFromProc(pid) : identityFromPs(pid);
}

/** Whether the very process that had this identity is still there; a stopped (SIGSTOP) one is. */
export function isProcessAlive(who: { pid: number; identity: string }): boolean {
  const identity = processIdentity(who.pid);
  return identity !== null && identity === who.identity;
}

/** Sends a signal to that very process; false when it is gone. */
export function killIfAlive(who: { pid: number; identity: string }, signal: NodeJS.Signals): boolean {
  if (!isProcessAlive(who)) return false;
  try {
    return process.kill(who.pid, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false; // gone just now
    throw error;
  }
}

function identityFromProc(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null; // No such process.
  }
  // The name in parentheses may hold anything; the fields after the last parenthesis are plain words.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  if (state === 'Z' || state === 'X') return null;
  return fields[19] ?? null;
}

function identityFromPs(pid: number): string | null {
  try {
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      timeout: 5_000,
    });
    return started.trim() || null;
  } catch {
    return null; // ps exits 1 when there is no such process.
  }
}
