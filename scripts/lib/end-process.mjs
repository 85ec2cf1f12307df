import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';

/**
 * Ends a process and everything in its group. The process itself hears SIGTERM first and alone, so
 * that it can end its helpers in its own order; what is left of the group then hears it too, and
 * SIGKILL ends the rest. The process must lead its own group (spawned with `detached: true`).
 *
 * @param {number} pid
 * @param {{ graceSeconds: number }} options Time for the leader.
 * @returns {Promise<'ended' | 'killed'>} `killed` when SIGTERM was not enough.
 */
export async function endProcessGroup(pid, { graceSeconds }) {
  const gone = () => !groupAlive(pid);
  signalProcess(pid, 'SIGTERM');
  if (await waitUntil(() => processIdentity(pid) === undefined, graceSeconds)) {
    if (await waitUntil(gone, 2)) return 'ended';
    signalProcess(-pid, 'SIGTERM');
    if (await waitUntil(gone, 2)) return 'ended';
  }
  signalProcess(-pid, 'SIGKILL');
  await waitUntil(gone, 5);
  return 'killed';
}

/**
 * Ends one process that leads no group of ours (a daemon that starts helpers which it ends itself).
 * @param {number} pid
 * @param {{ graceSeconds: number }} options
 * @returns {Promise<'ended' | 'killed'>}
 */
export async function endProcess(pid, { graceSeconds }) {
  const gone = () => processIdentity(pid) === undefined;
  signalProcess(pid, 'SIGTERM');
  if (await waitUntil(gone, graceSeconds)) return 'ended';
  signalProcess(pid, 'SIGKILL');
  await waitUntil(gone, 5);
  return 'killed';
}

/**
 * True while any process of the group runs. One that has ended but was not collected by its parent
 * (a zombie) does not count: init systems of containers may never collect it.
 * @param {number} pid Of the group's leader.
 */
function groupAlive(pid) {
  try {
    process.kill(-pid, 0);
  } catch (error) {
    // EPERM means that somebody is there whom we may not signal.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  if (!existsSync('/proc/self/stat')) return true;
  return readdirSync('/proc').some((name) => {
    const fields = /^\d+$/.test(name) ? statFields(name) : undefined;
    return fields !== undefined && fields[2] === String(pid) && fields[0] !== 'Z';
  });
}

/** SIGKILL for a whole group, without waiting. @param {number} pid Of its leader. */
export function killGroup(pid) {
  signalProcess(-pid, 'SIGKILL');
}

/** @param {number} pid Negative for a process group. @param {NodeJS.Signals} signal */
function signalProcess(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it ended by itself, which is what we wanted.
  }
}

/**
 * What makes a pid *this* process and not a later one with the same number: its start time, as the
 * kernel tells it. `undefined` when no such process runs.
 * @param {number} pid
 * @returns {string | undefined}
 */
export function processIdentity(pid) {
  if (existsSync('/proc/self/stat')) {
    const fields = statFields(String(pid));
    return fields === undefined || fields[0] === 'Z' ? undefined : fields[19];
  }
  try {
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return text === '' ? undefined : text;
  } catch {
    return undefined; // `ps` exits with 1 when there is no such process.
  }
}

/**
 * What Linux tells about a process, from its state on (state, parent, group, …); undefined when there
 * is none.
 * @param {string} pid
 */
function statFields(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may hold spaces and brackets itself; fields count from the last one.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // It ended.
  }
}

/**
 * Polls a cheap local condition (no network) every 50 ms.
 * @param {() => boolean} condition
 * @param {number} deadlineSeconds
 * @returns {Promise<boolean>} false when the deadline passed first.
 */
export async function waitUntil(condition, deadlineSeconds) {
  const deadline = Date.now() + deadlineSeconds * 1000;
  while (!condition()) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}
