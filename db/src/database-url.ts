import type { Log } from './embedded/log.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { withConnection } from './one-connection.ts';

/** Our SQL runs on this and newer (15 brought `nulls not distinct`; no `uuidv7()` from 18). */
export const OLDEST_POSTGRES_MAJOR = 15;
const QUERY_TIMEOUT_MS = 10_000;

/**
 * The database to use: the given one after a check that it answers and is new enough, or else the embedded
 * server of this home, started when it does not run.
 *
 * @throws Error that says what is wrong and what to do; it never shows the password.
 */
export async function resolveDatabaseUrl(options: {
  databaseUrl: string | null | undefined;
  home: string;
  log?: Log;
}): Promise<{ url: string; embedded: boolean }> {
  const { databaseUrl, home, log } = options;
  if (databaseUrl) {
    await checkDatabase(databaseUrl);
    return { url: databaseUrl, embedded: false };
  }
  const { url } = await startEmbeddedPostgres(log === undefined ? { home } : { home, log });
  return { url, embedded: true };
}

/** The URL for people: without the password. */
export function withoutPassword(databaseUrl: string): string {
  if (!URL.canParse(databaseUrl)) return '(not a URL)';
  const url = new URL(databaseUrl);
  url.password = '';
  url.searchParams.delete('password');
  return url.href;
}

async function checkDatabase(databaseUrl: string): Promise<void> {
  if (!URL.canParse(databaseUrl) || !/^postgres(ql)?:$/.test(new URL(databaseUrl).protocol)) {
    throw new Error(
      'DATABASE_URL is not a PostgreSQL URL. Expected postgresql://user:password@host:5432/database.',
    );
  }
  const shown = withoutPassword(databaseUrl);
  const major = await serverMajor(databaseUrl).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message || cause.name : String(cause);
    throw new Error(
      `Cannot use the database at DATABASE_URL (${shown}): ${reason}. ` +
        'Correct DATABASE_URL, or remove it to use the embedded database.',
      { cause },
    );
  });
  if (major < OLDEST_POSTGRES_MAJOR) {
    throw new Error(
      `The database at DATABASE_URL (${shown}) is PostgreSQL ${major}; version ${OLDEST_POSTGRES_MAJOR} or newer ` +
        'is needed. Upgrade it, or remove DATABASE_URL to use the embedded database.',
    );
  }
}

async function serverMajor(connectionString: string): Promise<number> {
  return await withConnection({ connectionString, query_timeout: QUERY_TIMEOUT_MS }, async (client) => {
    const { rows } = await client.query<{ version: number }>(
      `select current_setting('server_version_num')::int as version`,
    );
    return Math.floor((rows[0]?.version ?? 0) / 10_000);
  });
}
