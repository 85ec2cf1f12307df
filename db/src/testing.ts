import { createHash, randomBytes } from 'node:crypto';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import pg from 'pg';
import { inject } from 'vitest';
import { findMigrationsFolder, migrateDatabase } from './migrate.ts';
import { withConnection } from './one-connection.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A server on which tests may create databases; given by tests/setup/postgres.ts. */
    testDatabaseUrl: string;
  }
}

const TEMPLATE_PREFIX = 'cf_template_';
/** Any number that nobody else locks in the maintenance database. */
const TEMPLATE_LOCK = 7_402_115_902;
const TEMPLATE_TIMEOUT_MS = 120_000;
/** PostgreSQL's code for "the template has gone": another run on the same server removed it at its end. */
const UNDEFINED_DATABASE = '3D000';

/**
 * A fresh, migrated database of its own for one test file: a copy of a template that is built once (about a
 * second) and then copied in some 50 ms.
 *
 * @param serverUrl default: the server of this vitest run.
 * @returns `close` drops the database, also while somebody is still connected.
 */
export async function createTestDatabase(
  serverUrl: string = inject('testDatabaseUrl'),
): Promise<{ url: string; close: () => Promise<void> }> {
  const name = `cf_test_${randomBytes(8).toString('hex')}`;
  for (let attempt = 1; ; attempt += 1) {
    const template = await ensureTemplate(serverUrl);
    try {
      await withClient(serverUrl, (client) => client.query(`create database ${name} template ${template}`));
      break;
    } catch (error) {
      if (attempt === 3 || !(error instanceof pg.DatabaseError) || error.code !== UNDEFINED_DATABASE)
        throw error;
    }
  }
  return {
    url: databaseOn(serverUrl, name),
    close: async () => {
      await withClient(serverUrl, (client) => client.query(`drop database if exists ${name} with (force)`));
    },
  };
}

/** Removes the template of the present migrations from a server that outlives the test run. */
export async function dropTestTemplate(serverUrl: string): Promise<void> {
  await withClient(serverUrl, (client) =>
    client.query(`drop database if exists ${templateName()} with (force)`),
  );
}

/** @returns the name of a template that is complete: nobody can connect to it, so it can be copied. */
async function ensureTemplate(serverUrl: string): Promise<string> {
  const name = templateName();
  return await withClient(serverUrl, async (client) => {
    if (await isComplete(client, name)) return name;
    await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    if (await isComplete(client, name)) return name;
    // A half-built one of a run that was killed.
    await client.query(`drop database if exists ${name} with (force)`);
    await client.query(`create database ${name}`);
    await migrateDatabase(databaseOn(serverUrl, name));
    await client.query(`alter database ${name} allow_connections false`);
    return name;
  });
}

async function isComplete(client: pg.Client, name: string): Promise<boolean> {
  const { rows } = await client.query('select from pg_database where datname = $1 and not datallowconn', [
    name,
  ]);
  return rows.length === 1;
}

/** Named after the content of the migrations: another branch on the same server gets another template. */
function templateName(): string {
  const hash = createHash('sha256');
  for (const migration of readMigrationFiles({ migrationsFolder: findMigrationsFolder() })) {
    hash.update(migration.hash);
  }
  return `${TEMPLATE_PREFIX}${hash.digest('hex').slice(0, 16)}`;
}

function databaseOn(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const config = {
    connectionString,
    query_timeout: TEMPLATE_TIMEOUT_MS,
    application_name: 'computefabric-test-setup',
  };
  return await withConnection(config, work);
}
