import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { findMigrationsFolder, migrateDatabase, migrationStatus } from './migrate.ts';
import { withConnection } from './one-connection.ts';

let folder = '';
let url = '';
let name = '';

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'computefabric-migrations-'));
  mkdirSync(join(folder, 'meta'));
  name = `cf_test_${Math.random().toString(36).slice(2)}`;
  await onServer(`create database ${name}`);
  const address = new URL(inject('testDatabaseUrl'));
  address.pathname = `/${name}`;
  url = address.href;
});

afterEach(async () => {
  await onServer(`drop database ${name} with (force)`);
  rmSync(folder, { recursive: true });
});

it('applies every migration once when four starters come at the same time', async () => {
  writeMigrations({
    '0000_boxes': 'create table boxes (id int primary key);\n--> statement-breakpoint\nselect pg_sleep(0.2);',
    '0001_box': 'insert into boxes values (1);',
  });
  const results = await Promise.all([1, 2, 3, 4].map(() => migrateDatabase(url, folder)));
  expect(results.map(({ applied }) => applied).sort((a, b) => a - b)).toEqual([0, 0, 0, 2]);
  expect(await select('select id from boxes')).toEqual([{ id: 1 }]);
  expect(await migrationStatus(url, folder)).toEqual({ applied: 2, pending: 0 });
});

it('applies only what is new to a database that has data', async () => {
  writeMigrations({ '0000_boxes': 'create table boxes (id int primary key);' });
  expect(await migrationStatus(url, folder)).toEqual({ applied: 0, pending: 1 });
  await migrateDatabase(url, folder);
  await select('insert into boxes values (7)');
  writeMigrations({
    '0000_boxes': 'create table boxes (id int primary key);',
    '0001_size': 'alter table boxes add size int default 3;',
  });
  expect(await migrationStatus(url, folder)).toEqual({ applied: 1, pending: 1 });
  expect(await migrateDatabase(url, folder)).toEqual({ applied: 1 });
  expect(await select('select * from boxes')).toEqual([{ id: 7, size: 3 }]);
});

it('leaves nothing behind when a migration fails, and the next try is not blocked', async () => {
  writeMigrations({ '0000_boxes': 'create table boxes (id int);', '0001_wrong': 'select no_such_column;' });
  await expect(migrateDatabase(url, folder)).rejects.toThrow();
  expect(await select(`select to_regclass('boxes') as found`)).toEqual([{ found: null }]);
  writeMigrations({ '0000_boxes': 'create table boxes (id int);' });
  expect(await migrateDatabase(url, folder)).toEqual({ applied: 1 });
});

it('refuses a migration that was changed after it had been applied', async () => {
  writeMigrations({ '0000_boxes': 'create table boxes (id int);' });
  await migrateDatabase(url, folder);
  writeMigrations({ '0000_boxes': 'create table boxes (id bigint);' });
  await expect(migrateDatabase(url, folder)).rejects.toThrow('append-only');
});

it('brings an empty database to the schema of this checkout, a second time without a change', async () => {
  const { applied } = await migrateDatabase(url, findMigrationsFolder());
  expect(applied).toBeGreaterThan(0);
  expect(await migrateDatabase(url)).toEqual({ applied: 0 });
});

function writeMigrations(files: Record<string, string>): void {
  const entries = Object.keys(files).map((tag, idx) => ({
    idx,
    version: '7',
    when: 1000 + idx,
    tag,
    breakpoints: true,
  }));
  writeFileSync(
    join(folder, 'meta', '_journal.json'),
    JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
  );
  for (const [tag, text] of Object.entries(files)) writeFileSync(join(folder, `${tag}.sql`), text);
}

async function select(text: string): Promise<unknown[]> {
  return await withConnection({ connectionString: url }, async (client) => (await client.query(text)).rows);
}

async function onServer(text: string): Promise<void> {
  await withConnection({ connectionString: inject('testDatabaseUrl') }, (client) => client.query(text));
}
