import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { chmod, lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { resolveDatabaseUrl } from '@computefabric/db/database-url';
import { isProcessAlive } from '@computefabric/db/embedded/process-identity';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '@computefabric/db/embedded-postgres';
import { dropTestTemplate } from '@computefabric/db/testing';
import type { TestProject } from 'vitest/node';

const root = fileURLToPath(new URL('../..', import.meta.url));
const HOME_PREFIX = 'computefabric-test-';

interface TestServer {
  url: string;
  stop: () => Promise<void>;
}

// Vitest loads this file once per project that needs a database, each time as a new module; the server of
// the run is therefore kept on the process.
const shared = globalThis as typeof globalThis & {
  computefabricTestServer?: { server: Promise<TestServer>; users: number };
};

/**
 * Gives tests a PostgreSQL server: TEST_DATABASE_URL (any 15 or newer, with the right to create databases),
 * or an embedded one in a temporary home that is stopped and removed at the end of the run.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared.computefabricTestServer ??= { server: open(), users: 0 };
  const run = shared.computefabricTestServer;
  run.users += 1;
  const { url, stop } = await run.server;
  project.provide('testDatabaseUrl', url);
  return async () => {
    run.users -= 1;
    if (run.users > 0) return;
    delete shared.computefabricTestServer;
    await stop();
  };
}

async function open(): Promise<TestServer> {
  const given = process.env.TEST_DATABASE_URL;
  if (given) {
    await resolveDatabaseUrl({ databaseUrl: given, home: tmpdir() });
    return { url: given, stop: async () => await dropTestTemplate(given) };
  }
  await removeLeftovers();
  const home = await mkdtemp(join(tmpdir(), `${HOME_PREFIX}${process.pid}-`));
  // mkdtemp makes it 0700; root's server runs as another user and would go to /var/lib instead.
  await chmod(home, 0o755);
  // On Ctrl-C vitest exits without its teardown.
  const removeAtExit = () => removeInOtherProcess(home);
  process.once('exit', removeAtExit);
  const { url } = await startEmbeddedPostgres({ home, fsync: false });
  return {
    url,
    stop: async () => {
      await remove(home);
      process.off('exit', removeAtExit);
    },
  };
}

function removeInOtherProcess(home: string): void {
  const program = join(root, 'db/src/cli.ts');
  const options = { cwd: root, stdio: 'ignore', timeout: 30_000 } as const;
  spawnSync(process.execPath, ['--import', 'tsx', program, 'remove', '--yes', '--home', home], options);
  rmSync(home, { recursive: true, force: true });
}

/** Servers that killed test processes left behind: the homes carry the id of the process that made them. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(new RegExp(`^${HOME_PREFIX}(\\d+)-`).exec(name)?.[1]);
    if (!Number.isSafeInteger(pid) || isProcessAlive(pid)) continue;
    const home = join(tmpdir(), name);
    try {
      // Anybody may have made a directory of this name in /tmp.
      if ((await lstat(home)).uid === process.getuid?.()) await remove(home);
    } catch {
      // Another run is removing it at this moment; if not, the next run tries again.
    }
  }
}

async function remove(home: string): Promise<void> {
  await removeEmbeddedPostgres({ home });
  await rm(home, { recursive: true, force: true });
}
