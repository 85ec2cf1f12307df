import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * True when the process exists and can still do something. A zombie counts as dead: `kill -9` of a process
 * whose parent does not reap it (a container without an init) leaves one behind for ever, and signal 0
 * still reaches it.
 */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  const stat = readLinuxStat(pid);
  return stat === null || (stat.state !== 'Z' && stat.state !== 'X');
}

/**
 * A value that differs between two processes that had the same id, so that a lock left by a dead process is
 * not taken for one held by whoever got its id later. Empty where the system gives no such value.
 */
export function processIdentity(pid: number): string {
  const stat = readLinuxStat(pid);
  if (stat === null) return '';
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${stat.startTicks}`;
}

/** The command line of a process, or null where it cannot be read (no such process, hidden /proc). */
export function processCommandLine(pid: number): string | null {
  try {
    if (process.platform === 'linux')
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return execFileSync('/bin/ps', ['-p', String(pid), '-o', 'command='], {
      encoding: 'utf8',
      timeout: 5_000,
    });
  } catch {
    return null; // Gone between two looks, or not ours to see: both mean "unknown" to every caller.
  }
}

function readLinuxStat(pid: number): { state: string; startTicks: string } | null {
  if (process.platform !== 'linux') return null;
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null; // No such process, or no /proc at all.
  }
  // The second field is the program's name in brackets and may itself hold spaces and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTicks: fields[19] ?? '' };
}
