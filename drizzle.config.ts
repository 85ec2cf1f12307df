import { spawnSync } from 'node:child_process';
import { defineConfig } from 'drizzle-kit';

// Only these commands talk to a database; `generate`, `check` and the rest must not start one.
const NEEDS_DATABASE = ['push', 'pull', 'introspect', 'migrate', 'studio'];
const APPLICATION_NAME = 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: './db/src/schema/*.ts',
  out: './db/migrations',
  casing: 'snake_case',
  dbCredentials: { url: databaseUrl() },
});

/** DATABASE_URL, else the embedded server, started for the time of this command when it does not run. */
function databaseUrl(): string {
  const given = process.env.DATABASE_URL;
  if (given) return given;
  if (!NEEDS_DATABASE.some((command) => process.argv.includes(command))) return 'postgresql://unused';

  const { url, started } = JSON.parse(db('start', '--json')) as { url: string; started: boolean };
  if (started) {
    // Whoever came to use the server meanwhile keeps it.
    process.once('exit', () => db('stop', '--if-only-used-by', APPLICATION_NAME));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  }
  const named = new URL(url);
  named.searchParams.set('application_name', APPLICATION_NAME);
  return named.href;
}

/** Drizzle Kit reads this file synchronously, so the launcher runs in a process of its own. */
function db(...args: string[]): string {
  const result = spawnSync(process.execPath, ['--import', 'tsx', 'db/src/cli.ts', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 300_000,
  });
  if (result.status !== 0) throw new Error(`The embedded database could not ${args[0]}; see above.`);
  return result.stdout;
}
