import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import { withConnection } from './one-connection.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

async function drizzleKit(args: string[], databaseUrl?: string) {
  const env = { ...process.env, ...(databaseUrl ? { DATABASE_URL: databaseUrl } : {}) };
  const { stdout } = await run('npx', ['drizzle-kit', ...args], { cwd: root, env, timeout: 60_000 });
  return stdout;
}

test('the migrations are those of the schema: drizzle-kit generate finds nothing to do', async () => {
  const before = await readdir(`${root}/db/migrations`);
  expect(await drizzleKit(['generate'])).toContain('No schema changes');
  expect(await readdir(`${root}/db/migrations`)).toEqual(before);
});

test('drizzle-kit push brings an empty database to the schema, and a second one finds nothing to do', async () => {
  const server = new URL(inject('testDatabaseUrl'));
  const name = `cf_push_${process.pid}`;
  await withConnection({ connectionString: server.href }, (client) =>
    client.query(`create database ${name}`),
  );
  const url = new URL(server);
  url.pathname = `/${name}`;
  try {
    expect(await drizzleKit(['push'], url.href)).toContain('Changes applied');
    expect(await drizzleKit(['push'], url.href)).toContain('No changes detected');
  } finally {
    await withConnection({ connectionString: server.href }, (client) =>
      client.query(`drop database ${name} with (force)`),
    );
  }
});
