import { migrateDatabase } from '@computefabric/db/migrate';
import pg from 'pg';
import type { SimClient } from './gated-database.ts';

/** Enough for every task that a run has under way at once. */
const sessions = 24;

export interface SimDatabase {
  clients: SimClient[];
  monitor: pg.Client;
  /** Empties every table: the next run begins where the first one did. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Migrates an empty database and puts its clock and its signals into the simulation's hands: `sim` comes first
 * in the search path, so the product's unqualified `now()`, `random()` and `pg_notify()` are ours, in its statements as in
 * the defaults of its columns.
 */
export async function openSimDatabase(url: string): Promise<SimDatabase> {
  await migrateDatabase(url);
  const monitor = await connect(url);
  await monitor.query(`
    create schema if not exists sim;
    create or replace function sim.now() returns timestamptz language sql stable parallel safe
      as $$ select current_setting('sim.now')::timestamptz $$;
    create table if not exists sim.signals (seq bigserial primary key, channel text not null, payload text not null);
    create or replace function sim.pg_notify(text, text) returns void language sql volatile
      as $$ insert into sim.signals (channel, payload) values ($1, $2) $$;
    create sequence if not exists sim.draws;
    create or replace function sim.random() returns double precision language sql volatile
      as $$ select (hashint8(nextval('sim.draws')) & 2147483647) / 2147483648.0 $$;
  `);
  const { rows: defaults } = await monitor.query<{ table: string; column: string }>(`
    select format('%I.%I', n.nspname, c.relname) as table, format('%I', a.attname) as column
    from pg_attrdef d join pg_class c on c.oid = d.adrelid join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where n.nspname = 'public' and pg_get_expr(d.adbin, d.adrelid) in ('now()', 'pg_catalog.now()')`);
  // With `sim.now()` in the path the original is written with its schema; a clock of the wall would go unseen.
  if (defaults.length === 0) throw new Error('no column takes the present as its default');
  for (const { table, column } of defaults) {
    await monitor.query(`alter table ${table} alter column ${column} set default sim.now()`);
  }
  const { rows: tables } = await monitor.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'sim')`,
  );
  const names = tables.map(({ name }) => name);
  for (const name of names) await monitor.query(`alter table ${name} set (autovacuum_enabled = false)`);
  const { rows: refusing } = await monitor.query<{ table: string; name: string }>(`
    select format('%I', c.relname) as table, format('%I', t.tgname) as name from pg_trigger t
    join pg_class c on c.oid = t.tgrelid where not t.tgisinternal and t.tgtype & 32 <> 0`);
  for (const { table, name } of refusing) await monitor.query(`drop trigger ${name} on ${table}`);
  const clients: SimClient[] = [];
  for (let index = 0; index < sessions; index += 1) {
    const client = await connect(url);
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const pid = rows[0]?.pid;
    if (pid === undefined) throw new Error('the database did not tell the process of a session');
    clients.push({ client, pid });
  }
  return {
    clients,
    monitor,
    async reset() {
      // All at once: what one session still waits for may be a lock that another one holds.
      await Promise.all(
        clients.map(({ client }) => client.query('rollback; reset all; select pg_advisory_unlock_all()')),
      );
      await monitor.query(`truncate ${names.join(', ')} restart identity`);
      await monitor.query('alter sequence sim.draws restart');
    },
    async close() {
      for (const { client } of clients) await client.end();
      await monitor.end();
    },
  };
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'computefabric-simulation',
    options:
      '-c search_path=sim,pg_catalog,public -c sim.now=2030-01-01 -c client_min_messages=error -c plan_cache_mode=force_generic_plan',
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}
