import { existsSync, realpathSync } from 'node:fs';
import type pg from 'pg';
import { withConnection } from '../one-connection.ts';
import type { Credentials } from './credentials.ts';
import { ADMIN_ROLE } from './initialize-cluster.ts';

/** The role and the database of the programs have the same name. */
const APP_NAME = 'computefabric';
const PING_TIMEOUT_MS = 5_000;
const ADMIN_QUERY_TIMEOUT_MS = 20_000;

/** Says `sslmode=disable` because PGSSLMODE in somebody's environment would otherwise ask for TLS. */
export const appUrl = (port: number, credentials: Credentials): string =>
  `postgresql://${APP_NAME}:${credentials.appPassword}@127.0.0.1:${port}/${APP_NAME}?sslmode=disable`;

/**
 * Looks whether *our* server listens on a port: the port may belong to another home's server by now, even
 * one with the same passwords (a copied home), so its data directory is compared.
 *
 * @returns `ready` when the database of the programs exists too, `bare` when only the server runs.
 */
export async function ping(
  port: number,
  credentials: Credentials,
  dataDir: string,
): Promise<'ready' | 'bare' | 'absent'> {
  try {
    return await withAdmin(port, credentials, async (client) => {
      const { rows } = await client.query<{ data_directory: string; prepared: boolean }>(
        `select current_setting('data_directory') as data_directory,
                exists (select from pg_database where datname = $1) as prepared`,
        [APP_NAME],
      );
      const row = rows[0];
      if (row === undefined || realPath(row.data_directory) !== realPath(dataDir)) return 'absent';
      return row.prepared ? 'ready' : 'bare';
    });
  } catch {
    return 'absent'; // Refused, not PostgreSQL, wrong password, still starting: it is not our ready server.
  }
}

/** Makes the role and the database of the programs unless they exist; may be repeated after any crash. */
export async function prepareDatabase(port: number, credentials: Credentials): Promise<void> {
  await withAdmin(port, credentials, async (client) => {
    const { rows } = await client.query<{ role: boolean; database: boolean }>(
      `select exists (select from pg_roles where rolname = $1) as role,
              exists (select from pg_database where datname = $1) as database`,
      [APP_NAME],
    );
    if (rows[0]?.role !== true) {
      // CREATEDB: tests clone databases, and drizzle-kit may want a scratch one.
      const password = client.escapeLiteral(credentials.appPassword);
      await client.query(`create role ${APP_NAME} login createdb password ${password}`);
    }
    if (rows[0]?.database !== true) await client.query(`create database ${APP_NAME} owner ${APP_NAME}`);
  });
}

/** Whether a program with another application name is connected to the database of the programs. */
export async function isUsedByOthers(
  port: number,
  credentials: Credentials,
  dataDir: string,
  applicationName: string,
): Promise<boolean> {
  if ((await ping(port, credentials, dataDir)) === 'absent') return false;
  return await withAdmin(port, credentials, async (client) => {
    const { rows } = await client.query<{ busy: boolean }>(
      `select exists (select from pg_stat_activity where datname = $1 and application_name <> $2) as busy`,
      [APP_NAME, applicationName],
    );
    return rows[0]?.busy === true;
  });
}

async function withAdmin<T>(
  port: number,
  credentials: Credentials,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const config = {
    host: '127.0.0.1',
    port,
    user: ADMIN_ROLE,
    password: credentials.adminPassword,
    database: 'postgres',
    ssl: false,
    connectionTimeoutMillis: PING_TIMEOUT_MS,
    query_timeout: ADMIN_QUERY_TIMEOUT_MS,
    application_name: 'computefabric-launcher',
  };
  return await withConnection(config, work);
}

const realPath = (path: string): string => (existsSync(path) ? realpathSync(path) : path);
