import type { Db, Tx } from '@computefabric/db/client';
import { invariant } from '@computefabric/runtime/invariant';
import { sql } from 'drizzle-orm';

/** The database's clock: the only one that leases and money go by. Inside a transaction, its start. */
export async function databaseNow(db: Db | Tx): Promise<Date> {
  const { rows } = await db.execute<{ ms: string }>(sql`select extract(epoch from now()) * 1000 as ms`);
  const ms = Number(rows[0]?.ms);
  invariant(Number.isFinite(ms), 'the database told the time');
  return new Date(Math.round(ms)); // as the column types of moments round
}
