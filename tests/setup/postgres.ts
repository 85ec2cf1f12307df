import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveDatabaseUrl } from '@computefabric/db/database-url';
import { isProcessAlive } from '@computefabric/db/embedded/process-identity';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '@computefabric/db/embedded-postgres';
import { dropTestTemplate } from '@computefabric/db/testing';
import type { TestProject } from 'vitest/node';

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
  const { url } = await startEmbeddedPostgres({ home, fsync: false });
  return { url, stop: async () => await remove(home) };
}

/** Servers of test runs that were killed: their homes carry the id of the run's process. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(new RegExp(`^${HOME_PREFIX}(\\d+)-`).exec(name)?.[1]);
    if (Number.isSafeInteger(pid) && !isProcessAlive(pid)) await remove(join(tmpdir(), name));
  }
}

async function remove(home: string): Promise<void> {
  await removeEmbeddedPostgres({ home });
  await rm(home, { recursive: true, force: true });
}
