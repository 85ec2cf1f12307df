import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chown, lstat, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Binaries } from './binaries.ts';
import { isPortFree } from './free-port.ts';
import { isProcessAlive, processCommandLine } from './process-identity.ts';
import { type OsIdentity, runAs } from './run-as.ts';

/** One data directory and what is needed to run a server on it. */
export interface Cluster {
  /** Holds the data, the log directory, and nothing else that the server may write. */
  base: string;
  dataDir: string;
  logDirectory: string;
  logFile: string;
  /** The user that the server runs as; null: ourselves. */
  identity: OsIdentity | null;
  binaries: Binaries;
}

const START_TIMEOUT_SECONDS = 60;
const STOP_TIMEOUT_SECONDS = 30;
const LOG_TAIL_LINES = 15;
/** The log is only turned over at a start: the server logs errors and little else. */
const LOG_MAX_BYTES = 10 * 1024 * 1024;
/**
 * Failures that pass by themselves: right after `kill -9` the old server's children still hold its shared
 * memory or its files for a second or two, and a port can be lost between our look and the server's bind.
 */
const PASSING_FAILURE = /lock file|pre-existing shared memory|address already in use|in use by another/i;

/** Settings for a small machine that also runs everything else. Values are plain words: no shell quoting. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  // No socket file: its path may not exceed 107 bytes, and homes are deeper than that.
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '64MB',
  max_wal_size: '512MB',
  max_worker_processes: '4',
  // PG 18 starts three I/O worker processes by default, which a database of this size never keeps busy.
  io_method: 'sync',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  log_line_prefix: '%m[%p]',
};

/**
 * One try to start the server; resolves to null when it accepts connections, else to what went wrong.
 *
 * @param fsync false loses data when the machine stops; for databases of tests only.
 */
export async function tryStartPostmaster(
  cluster: Cluster,
  port: number,
  fsync: boolean,
): Promise<{ reason: string; passing: boolean } | null> {
  await disarmStalePidFile(cluster);
  await turnOverLog(cluster);
  const logStart = await fileSize(cluster.logFile);
  const durability = fsync
    ? { fsync: 'on' }
    : { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' };
  const options = Object.entries({ ...SETTINGS, ...durability, port: String(port) })
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
  const { code, output } = await runAs(
    cluster.identity,
    cluster.binaries.pgCtl,
    // `-l` matters: without it the server inherits our files and lives tied to them.
    [
      '-D',
      cluster.dataDir,
      '-l',
      cluster.logFile,
      '-w',
      '-t',
      String(START_TIMEOUT_SECONDS),
      '-o',
      options,
      'start',
    ],
    (START_TIMEOUT_SECONDS + 10) * 1000,
  );
  if (code === 0) return null;
  const serverLog = existsSync(cluster.logFile)
    ? readFileSync(cluster.logFile).subarray(logStart).toString('utf8')
    : '';
  return {
    reason: output,
    passing: PASSING_FAILURE.test(serverLog) || !(await isPortFree(port)),
  };
}

/**
 * Stops the server of a cluster and waits until it is gone.
 *
 * @returns false when none was running.
 * @throws Error when it is still there after 60 seconds.
 */
export async function stopPostmaster(cluster: Cluster): Promise<boolean> {
  const running = runningPostmaster(cluster.dataDir);
  if (running === null) return false;
  let output = '';
  // `fast` ends sessions and writes everything down. `immediate` is the way out when something hangs: the
  // next start then recovers from the write-ahead log, as after a crash.
  for (const mode of ['fast', 'immediate']) {
    const result = await runAs(
      cluster.identity,
      cluster.binaries.pgCtl,
      ['-D', cluster.dataDir, '-w', '-t', String(STOP_TIMEOUT_SECONDS), '-m', mode, 'stop'],
      (STOP_TIMEOUT_SECONDS + 10) * 1000,
    );
    output = result.output;
    if (await waitUntilGone(running.pid, result.code === 0 ? 10_000 : 0)) return true;
  }
  throw new Error(
    `The embedded database (process ${running.pid}) does not stop: ${output}\n${logTail(cluster.logFile)}`,
  );
}

/** The server that runs on a data directory now, from its postmaster.pid; null when there is none. */
export function runningPostmaster(dataDir: string): { pid: number; port: number | null } | null {
  const lines = readPidFile(dataDir);
  const pid = Number(lines?.[0]);
  if (lines === null || !Number.isSafeInteger(pid) || pid <= 1) return null;
  if (!isProcessAlive(pid) || isSomethingElse(pid)) return null;
  const port = Number(lines[3]);
  return { pid, port: Number.isSafeInteger(port) && port > 0 ? port : null };
}

/** The last lines of the server's log, for error messages. */
export function logTail(logFile: string): string {
  try {
    return lastLines(readFileSync(logFile, 'utf8'));
  } catch {
    return '(the server has written no log)'; // Only decoration of an error that is reported anyway.
  }
}

const lastLines = (text: string): string => text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');

function readPidFile(dataDir: string): string[] | null {
  try {
    return readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** True only when the command line is known and is not a PostgreSQL server's. */
function isSomethingElse(pid: number): boolean {
  const commandLine = processCommandLine(pid);
  return commandLine !== null && commandLine !== '' && !/\bpostgres\b/.test(commandLine);
}

/**
 * After a crash or a reboot the id in postmaster.pid may belong to another process of the same user, or to a
 * zombie. PostgreSQL takes either for a living server and refuses to start for ever. Deleting the file would
 * also delete PostgreSQL's second check (are there still backends on the old shared memory?), so only the id
 * is replaced by one that cannot exist.
 */
async function disarmStalePidFile(cluster: Cluster): Promise<void> {
  const lines = readPidFile(cluster.dataDir);
  if (lines === null || runningPostmaster(cluster.dataDir) !== null) return;
  const file = join(cluster.dataDir, 'postmaster.pid');
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  const impossiblePid = 2 ** 22 + 1;
  await writeFile(temporary, [String(impossiblePid), ...lines.slice(1)].join('\n'), {
    flag: 'wx',
    mode: 0o600,
  });
  if (cluster.identity !== null) await chown(temporary, cluster.identity.uid, cluster.identity.gid);
  await rename(temporary, file);
}

async function turnOverLog(cluster: Cluster): Promise<void> {
  if ((await fileSize(cluster.logFile)) < LOG_MAX_BYTES) return;
  await rm(`${cluster.logFile}.1`, { force: true });
  await rename(cluster.logFile, `${cluster.logFile}.1`);
}

async function fileSize(file: string): Promise<number> {
  try {
    return (await lstat(file)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
}

async function waitUntilGone(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isProcessAlive(pid)) {
    if (Date.now() > deadline) return false;
    await delay(20);
  }
  return true;
}
