import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { appUrl, isUsedByOthers, ping, prepareDatabase } from './embedded/admin-session.ts';
import { type Credentials, createCredentials, readCredentials } from './embedded/credentials.ts';
import { findFreePort, isPortFree } from './embedded/free-port.ts';
import {
  dataDirectory,
  findCluster,
  type HomeFiles,
  homeFiles,
  placeNewCluster,
  removeHomeFiles,
  writeWhole,
} from './embedded/home.ts';
import { initializeCluster } from './embedded/initialize-cluster.ts';
import type { Log } from './embedded/log.ts';
import {
  type Cluster,
  logTail,
  runningPostmaster,
  stopPostmaster,
  tryStartPostmaster,
} from './embedded/postmaster.ts';
import { withStartLock } from './embedded/start-lock.ts';

/** A first start on a slow disk takes 30 seconds; recovery after a crash can take as long again. */
const LOCK_TIMEOUT_MS = 300_000;
const START_DEADLINE_MS = 120_000;
/** Tries for a failure that we do not know to pass by itself. */
const MAX_UNKNOWN_FAILURES = 3;
const RETRY_DELAY_MS = 300;

export interface StartOptions {
  /** The directory of this installation's state, for example `.computefabric`. Made when absent. */
  home: string;
  log?: Log;
  /** false is faster and loses data when the machine stops: for databases of tests only. */
  fsync?: boolean;
}

/**
 * Makes sure that the PostgreSQL server of this home runs, and returns its URL.
 *
 * Any number of processes may call this at once; one starts the server, the others find it running. The
 * server is detached: it outlives its starter and every caller, until `stopEmbeddedPostgres`. A server or a
 * starter that was killed at any moment is repaired by the next call. As root the server runs as an
 * unprivileged user. It listens on 127.0.0.1 only, on a port chosen once and kept while nobody else takes it.
 *
 * @returns `started`: whether this call started the server.
 * @throws Error with the end of the server's log and the way out.
 */
export async function startEmbeddedPostgres(
  options: StartOptions,
): Promise<{ url: string; dataDir: string; started: boolean }> {
  const { home, log = () => {}, fsync = true } = options;
  if (process.platform === 'win32') {
    throw new Error(
      'The embedded database does not run on Windows. Set DATABASE_URL to a PostgreSQL 15 or newer.',
    );
  }
  const files = homeFiles(home);
  // The fast way, without the lock: nearly every call finds the server running.
  const running = await embeddedPostgresUrl({ home });
  if (running !== null) return { url: running, dataDir: dataDirectory(files), started: false };

  await mkdir(files.directory, { recursive: true });
  return await withStartLock(files.directory, LOCK_TIMEOUT_MS, async () => {
    const meanwhile = await embeddedPostgresUrl({ home });
    if (meanwhile !== null) return { url: meanwhile, dataDir: dataDirectory(files), started: false };

    const { cluster, credentials } = await findOrMakeCluster(files, log);
    const started = await startServer(files, cluster, credentials, fsync, log);
    const port = readPort(files);
    if (port === null) throw new Error(`${files.port} vanished while the database was starting`);
    await prepareDatabase(port, credentials);
    return { url: appUrl(port, credentials), dataDir: cluster.dataDir, started };
  });
}

/** The URL of this home's running server, or null when it does not run (or is still starting). */
export async function embeddedPostgresUrl(options: { home: string }): Promise<string | null> {
  const files = homeFiles(options.home);
  const port = readPort(files);
  if (port === null) return null;
  const credentials = readCredentials(files);
  if (credentials === null) return null;
  const state = await ping(port, credentials, dataDirectory(files));
  return state === 'ready' ? appUrl(port, credentials) : null;
}

export interface StopOptions {
  home: string;
  /** Leave the server running when a program with another application name is connected to its database. */
  ifOnlyUsedBy?: string;
}

/**
 * Stops the server of this home, ending its sessions, and waits until its process is gone.
 *
 * @returns false when it was not running, or was left running because of `ifOnlyUsedBy`.
 */
export async function stopEmbeddedPostgres(options: StopOptions): Promise<boolean> {
  const files = homeFiles(options.home);
  if (!existsSync(files.directory)) return false;
  return await withStartLock(files.directory, LOCK_TIMEOUT_MS, async () => {
    const cluster = await findCluster(files, () => {});
    if (cluster === null) return false;
    const port = readPort(files);
    const credentials = readCredentials(files);
    if (options.ifOnlyUsedBy !== undefined && port !== null && credentials !== null) {
      if (await isUsedByOthers(port, credentials, cluster.dataDir, options.ifOnlyUsedBy)) return false;
    }
    return await stopPostmaster(cluster);
  });
}

/**
 * Stops the server of this home and deletes its data and passwords, wherever they live. For ever.
 *
 * @returns false when this home had no database.
 */
export async function removeEmbeddedPostgres(options: { home: string }): Promise<boolean> {
  const files = homeFiles(options.home);
  if (!existsSync(files.directory)) return false;
  return await withStartLock(files.directory, LOCK_TIMEOUT_MS, async () => {
    const cluster = await findCluster(files, () => {});
    if (cluster !== null) await stopPostmaster(cluster);
    await removeHomeFiles(files);
    return cluster !== null;
  });
}

async function findOrMakeCluster(
  files: HomeFiles,
  log: Log,
): Promise<{ cluster: Cluster; credentials: Credentials }> {
  const existing = await findCluster(files, log);
  const known = readCredentials(files);
  if (existing !== null) {
    if (known === null) {
      throw new Error(
        `${files.credentials} is missing, so nobody can log in to the database in ${existing.dataDir}. ` +
          'Bring that file back, or remove the data directory to begin with an empty database.',
      );
    }
    return { cluster: existing, credentials: known };
  }
  log('Creating the embedded PostgreSQL database (first start, a few seconds) …');
  const cluster = await placeNewCluster(files, log);
  const credentials = known ?? createCredentials(files);
  await initializeCluster(cluster, credentials.adminPassword);
  return { cluster, credentials };
}

/** Starts the server, or waits for one that is just starting. @returns whether we started it. */
async function startServer(
  files: HomeFiles,
  cluster: Cluster,
  credentials: Credentials,
  fsync: boolean,
  log: Log,
): Promise<boolean> {
  const deadline = Date.now() + START_DEADLINE_MS;
  let reason = 'it did not answer in time';
  let unknownFailures = 0;
  let started = false;
  while (Date.now() < deadline && unknownFailures < MAX_UNKNOWN_FAILURES) {
    const running = runningPostmaster(cluster.dataDir);
    if (running !== null) {
      // Somebody else's start that we cut in on (its starter was killed), or ours, still recovering.
      if (running.port !== null) rememberPort(files, running.port);
      const port = running.port ?? readPort(files);
      if (port !== null && (await ping(port, credentials, cluster.dataDir)) !== 'absent') return started;
      await delay(RETRY_DELAY_MS);
      continue;
    }
    const port = await choosePort(files, log);
    const failure = await tryStartPostmaster(cluster, port, fsync);
    if (failure === null) {
      started = true;
      continue;
    }
    reason = failure.reason;
    if (!failure.passing) unknownFailures += 1;
    await delay(RETRY_DELAY_MS);
  }
  throw new Error(
    `The embedded PostgreSQL in ${cluster.dataDir} did not start: ${reason}\n` +
      `--- end of ${cluster.logFile}\n${logTail(cluster.logFile)}\n---\n` +
      'Set DATABASE_URL to use another PostgreSQL (15 or newer), or COMPUTEFABRIC_HOME to begin in an empty place.',
  );
}

/** The remembered port while it is free; otherwise a new one, which is then remembered. */
async function choosePort(files: HomeFiles, log: Log): Promise<number> {
  const remembered = readPort(files);
  if (remembered !== null && (await isPortFree(remembered))) return remembered;
  const port = await findFreePort();
  if (remembered !== null) {
    log(`Port ${remembered} is used by another program; the embedded database moves to port ${port}.`);
  }
  rememberPort(files, port);
  return port;
}

function readPort(files: HomeFiles): number | null {
  if (!existsSync(files.port)) return null;
  const port = Number(readFileSync(files.port, 'utf8').trim());
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
}

function rememberPort(files: HomeFiles, port: number): void {
  if (readPort(files) !== port) writeWhole(files.port, `${port}\n`, 0o644);
}
