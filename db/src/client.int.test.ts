import { readdirSync } from 'node:fs';
import { is, sql } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDb, type Db, schema, type Tx } from './client.ts';
import { createTestDatabase } from './testing.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.close();
});

it('knows every table of the schema folder, and the migrations made every one of them', async () => {
  const files = readdirSync(new URL('./schema', import.meta.url));
  const tables: PgTable[] = [];
  for (const file of files) {
    const exported: Record<string, unknown> = await import(/* @vite-ignore */ `./schema/${file}`);
    tables.push(...Object.values(exported).filter((value) => is(value, PgTable)));
  }
  expect(tables.length).toBeGreaterThan(10);
  const known = Object.values(schema).filter((value) => is(value, PgTable));
  expect(new Set(known)).toEqual(new Set(tables));

  const { db, close } = createDb(database.url);
  const { rows } = await db.execute<{ name: string }>(
    sql`select tablename as name from pg_tables where schemaname = 'public'`,
  );
  expect(rows.map(({ name }) => name).sort()).toEqual(
    tables.map((table) => getTableConfig(table).name).sort(),
  );
  await close();
});

it('takes a transaction wherever a store function takes a database', async () => {
  const { db, close } = createDb(database.url);
  const store = async (on: Db) => (await on.execute<{ one: number }>(sql`select 1 as one`)).rows;
  expect(await store(db)).toEqual([{ one: 1 }]);
  expect(await db.transaction(async (tx: Tx) => await store(tx))).toEqual([{ one: 1 }]);
  expect(await db.query.users.findMany({ with: { jobs: true } })).toEqual([]);
  await close();
});

it('survives that the server ends its connections, idle ones and ones inside a transaction', async () => {
  const errors: Error[] = [];
  const victim = createDb(database.url, {
    applicationName: 'victim',
    onConnectionError: (error) => errors.push(error),
  });
  const killer = createDb(database.url);
  const terminate = sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim'`;

  await victim.db.execute(sql`select 1`);
  expect((await killer.db.execute(terminate)).rowCount).toBe(1);
  await expect.poll(() => errors.length).toBe(1);
  expect((await victim.db.execute(sql`select 1 as one`)).rows).toEqual([{ one: 1 }]);

  const broken = victim.db.transaction(async (tx) => {
    await tx.execute(sql`select 1`);
    await killer.db.execute(terminate);
    await tx.execute(sql`select 1`);
  });
  await expect(broken).rejects.toThrow();
  expect((await victim.db.execute(sql`select 1 as one`)).rows).toEqual([{ one: 1 }]);
  await Promise.all([victim.close(), killer.close()]);
});

it('ends a statement and an idle transaction at their time limits', async () => {
  const { db, close } = createDb(database.url, {
    applicationName: 'limited',
    statementTimeoutMs: 100,
    idleInTransactionTimeoutMs: 100,
  });
  const watcher = createDb(database.url);
  const openTransactions = async () =>
    (
      await watcher.db.execute(
        sql`select from pg_stat_activity where application_name = 'limited' and xact_start is not null`,
      )
    ).rowCount;

  await expect(db.execute(sql`select pg_sleep(10)`)).rejects.toMatchObject({ cause: { code: '57014' } });
  let ended = false;
  const idle = db.transaction(async (tx) => {
    await tx.execute(sql`select 1`);
    expect(await openTransactions()).toBe(1);
    await expect.poll(openTransactions, { timeout: 5_000 }).toBe(0);
    ended = true;
    await tx.execute(sql`select 1`);
  });
  await expect(idle).rejects.toThrow();
  expect(ended).toBe(true);
  await Promise.all([close(), watcher.close()]);
});

it('lends on when a connection ended while it was lent and nobody gives it back', async () => {
  const own = createDb(database.url, { poolSize: 1 });
  const other = createDb(database.url, { poolSize: 1 });
  try {
    const lent = await own.pool.connect();
    const { rows } = await lent.query<{ pid: number }>('select pg_backend_pid() as pid');
    await other.pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    expect((await own.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  } finally {
    await own.close();
    await other.close();
  }
});
