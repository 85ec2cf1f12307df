import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { chown, mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { openDirectory, runnableBinaries, SHARED_DIRECTORY } from './binaries.ts';
import type { Log } from './log.ts';
import { unprivilegedUser } from './os-user.ts';
import { type Cluster, stopPostmaster } from './postmaster.ts';
import { canEnter, type OsIdentity } from './run-as.ts';

/** PG 15 and 18 cannot share a data directory, so its name carries the major version. */
const DATA_DIRECTORY = 'data-18';

/** The files of one embedded server that stay in its home, readable by whoever owns the home. */
export interface HomeFiles {
  directory: string;
  /** JSON with the two passwords, mode 0600. */
  credentials: string;
  port: string;
  /** Exists only when the data had to live elsewhere; holds that directory. */
  movedTo: string;
}

export function homeFiles(home: string): HomeFiles {
  const directory = join(resolve(home), 'postgres');
  return {
    directory,
    credentials: join(directory, 'credentials.json'),
    port: join(directory, 'port'),
    movedTo: join(directory, 'moved-to'),
  };
}

/** The data directory of a home, whether it exists yet or not. */
export function dataDirectory(files: HomeFiles): string {
  return join(baseDirectory(files), DATA_DIRECTORY);
}

/** The existing cluster of a home, or null when none was ever made. */
export async function findCluster(files: HomeFiles, log: Log): Promise<Cluster | null> {
  const dataDir = dataDirectory(files);
  if (!existsSync(dataDir)) return null;
  const identity = ownerIdentity(dataDir);
  if (!(await canEnter(identity, dataDir))) {
    throw new Error(
      `The database in ${dataDir} belongs to user id ${statSync(dataDir).uid}, who cannot enter that directory ` +
        '(some directory above it is closed). Open the directories above it with `chmod o+x`, or move the home.',
    );
  }
  return await clusterAt(baseDirectory(files), identity, log);
}

/**
 * Chooses where a new cluster will live and prepares the directories, but not the cluster itself.
 *
 * As root the server runs as another user, who may be shut out of the home (a checkout below /root). Then
 * the data live in a directory per home below /var/lib/computefabric and the home keeps a pointer.
 */
export async function placeNewCluster(files: HomeFiles, log: Log): Promise<Cluster> {
  const identity = process.getuid?.() === 0 ? await unprivilegedUser(log) : null;
  let base = baseDirectory(files);
  if (base === files.directory && !(await canEnter(identity, base))) {
    base = join(SHARED_DIRECTORY, nameForHome(files.directory));
    await openDirectory(SHARED_DIRECTORY);
    if (existsSync(base)) await setAside(base, log);
    await openDirectory(base);
    if (!(await canEnter(identity, base))) {
      throw new Error(
        `The database user cannot enter ${files.directory} and not even ${base}. ` +
          'Set COMPUTEFABRIC_HOME to a directory that every user may enter, or set DATABASE_URL.',
      );
    }
    log(`The database user cannot enter ${files.directory}; the database lives in ${base}.`);
    writeWhole(files.movedTo, `${base}\n`, 0o644);
  }
  if (base !== files.directory) await openDirectory(base);
  const cluster = await clusterAt(base, identity, log);
  await mkdir(cluster.logDirectory, { recursive: true, mode: 0o700 });
  if (identity !== null) await chown(cluster.logDirectory, identity.uid, identity.gid);
  return cluster;
}

/** Deletes everything that makes up the stopped cluster of a home, the pointer to it last. */
export async function removeHomeFiles(files: HomeFiles): Promise<void> {
  const base = baseDirectory(files);
  const parts = base === files.directory ? [join(base, DATA_DIRECTORY), join(base, 'log')] : [base];
  for (const path of [...parts, files.credentials, files.port, files.movedTo]) {
    await rm(path, { recursive: true, force: true });
  }
}

/** Writes a file so that a reader sees the old content or the new, never half. */
export function writeWhole(file: string, content: string, mode: number): void {
  const temporary = `${file}.tmp-${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(temporary, content, { flag: 'wx', mode });
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}

async function clusterAt(base: string, identity: OsIdentity | null, log: Log): Promise<Cluster> {
  const logDirectory = join(base, 'log');
  return {
    base,
    dataDir: join(base, DATA_DIRECTORY),
    logDirectory,
    logFile: join(logDirectory, 'postgres.log'),
    identity,
    binaries: await runnableBinaries(identity, log),
  };
}

function baseDirectory(files: HomeFiles): string {
  if (!existsSync(files.movedTo)) return files.directory;
  const base = readFileSync(files.movedTo, 'utf8').trim();
  // We write and delete there as root, so it must be a place that we chose and nothing else.
  if (dirname(base) !== SHARED_DIRECTORY || !/^[0-9a-f]{16}$/.test(basename(base))) {
    throw new Error(`${files.movedTo} names ${base}, which is not a directory of the embedded database`);
  }
  return base;
}

/** A cluster always runs as its owner: root steps down to that user, anybody else must be that user. */
function ownerIdentity(dataDir: string): OsIdentity | null {
  const { uid, gid } = statSync(dataDir);
  const self = process.getuid?.();
  if (uid === self && uid !== 0) return null;
  if (self !== 0) {
    throw new Error(
      `The database in ${dataDir} belongs to user id ${uid}, and you are user id ${self}. ` +
        'Run as root or as that user, use another COMPUTEFABRIC_HOME, or set DATABASE_URL.',
    );
  }
  if (uid === 0) {
    throw new Error(
      `${dataDir} belongs to root, and PostgreSQL does not run as root. Give it back to its user with \`chown -R\`.`,
    );
  }
  return { uid, gid };
}

const nameForHome = (directory: string): string =>
  createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 16);

/**
 * A directory of this home without the home's pointer to it: the home was deleted and made again. Whoever
 * deletes a home expects a fresh start, yet data are never deleted on a guess: the old server is stopped and
 * its directory renamed.
 */
async function setAside(base: string, log: Log): Promise<void> {
  const dataDir = join(base, DATA_DIRECTORY);
  if (existsSync(dataDir)) {
    const old = await clusterAt(base, ownerIdentity(dataDir), log);
    await stopPostmaster(old);
  }
  const aside = join(SHARED_DIRECTORY, `${basename(base)}.abandoned-${Date.now()}`);
  await rename(base, aside);
  log(`The home of the database in ${base} was deleted; its data are now in ${aside}.`);
}
