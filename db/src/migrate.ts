import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import type pg from 'pg';
import { withConnection } from './one-connection.ts';

/** Any number that nobody else locks in the same database. */
const MIGRATION_LOCK = 7_402_115_901;
/** How long to wait for another starter's migrations, and for one statement's table locks. */
const LOCK_TIMEOUT = { otherStarter: '10min', table: '1min' };

/**
 * Brings a database to the newest schema. Any number of starters may call this at once: Drizzle's own
 * `migrate` takes no lock (of four concurrent starters three fail), so a session lock on one dedicated
 * connection goes around it. All migrations of one call succeed or fail together.
 *
 * @param migrationsFolder default: `db/migrations` found above this file or the working directory.
 * @returns how many migrations this call applied.
 * @throws Error when a migration fails, or when the folder holds one that Drizzle skipped for ever.
 */
export async function migrateDatabase(
  url: string,
  migrationsFolder: string = findMigrationsFolder(),
): Promise<{ applied: number }> {
  return await withConnection(
    { connectionString: url, application_name: 'computefabric-migrate' },
    async (client) => {
      await client.query(`set lock_timeout = '${LOCK_TIMEOUT.otherStarter}'`);
      await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
      // The lock ends with the session, also when this process is killed.
      await client.query(`set lock_timeout = '${LOCK_TIMEOUT.table}'`);
      const before = await appliedHashes(client);
      await migrate(drizzle({ client }), { migrationsFolder });
      const after = await appliedHashes(client);
      refuseSkipped(migrationsFolder, after);
      return { applied: after.size - before.size };
    },
  );
}

/** How many migrations of the folder the database has and lacks. */
export async function migrationStatus(
  url: string,
  migrationsFolder: string = findMigrationsFolder(),
): Promise<{ applied: number; pending: number }> {
  return await withConnection(
    { connectionString: url, application_name: 'computefabric-migrate' },
    async (client) => {
      const hashes = await appliedHashes(client);
      const all = readMigrationFiles({ migrationsFolder });
      const applied = all.filter(({ hash }) => hashes.has(hash)).length;
      return { applied, pending: all.length - applied };
    },
  );
}

/** `db/migrations`, searched upward from this file (source or bundle), then from the working directory. */
export function findMigrationsFolder(): string {
  for (const start of [ownDirectory(), process.cwd()]) {
    for (let directory = start; directory !== null; directory = parentOf(directory)) {
      const candidate = join(directory, 'db', 'migrations');
      if (existsSync(candidate)) return candidate;
    }
  }
  throw new Error(
    'Found no db/migrations above this program or the working directory. Run it from the checkout.',
  );
}

/**
 * Drizzle compares only the time of the newest applied migration: one that was made on a branch earlier and
 * merged later is skipped without a word, and so is a change of an applied file. Both leave a schema that no
 * other installation has, so they stop the start here.
 */
function refuseSkipped(migrationsFolder: string, applied: ReadonlySet<string>): void {
  const skipped = readMigrationFiles({ migrationsFolder }).filter(({ hash }) => !applied.has(hash));
  if (skipped.length === 0) return;
  throw new Error(
    `${skipped.length} migration(s) in ${migrationsFolder} are not in the database and will never be applied: ` +
      'they are older than the newest applied one, or were changed after they had been applied. ' +
      'Migrations are append-only: restore the changed file, or generate the late one again.',
  );
}

async function appliedHashes(client: pg.Client): Promise<Set<string>> {
  const table = await client.query<{ found: boolean }>(
    `select to_regclass('drizzle.__drizzle_migrations') is not null as found`,
  );
  if (table.rows[0]?.found !== true) return new Set();
  const { rows } = await client.query<{ hash: string }>('select hash from drizzle.__drizzle_migrations');
  return new Set(rows.map(({ hash }) => hash));
}

/** Null where a bundler has taken the file's place in the world away (CommonJS bundles). */
function ownDirectory(): string | null {
  const url: string | undefined = import.meta.url;
  return url?.startsWith('file:') ? dirname(fileURLToPath(url)) : null;
}

function parentOf(directory: string): string | null {
  const parent = dirname(directory);
  return parent === directory ? null : parent;
}
