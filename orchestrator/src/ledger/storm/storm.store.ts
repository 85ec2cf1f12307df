import type { Db, Tx } from '@computefabric/db/client';
import { type AccountKind, accountKinds } from '@computefabric/db/schema/ledger-accounts';
import { users } from '@computefabric/db/schema/users';
import { type AccountId, newId, type UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { makeAccount } from '../ledger.store.ts';
import { nameOf } from './model.ts';

const marketKinds = accountKinds.filter((kind) => !/^(renter|provider)_/.test(kind));
const personalKinds = accountKinds.filter((kind) => /^(renter|provider)_/.test(kind));

/** So many people, and every account of the chart, by the names that the model uses. */
export async function openAccounts(db: Db, people: number): Promise<Map<string, AccountId>> {
  const ids: UserId[] = Array.from({ length: people }, () => newId('user'));
  await db.transaction(async (tx) => {
    await tx.insert(users).values(ids.map((id) => ({ id, email: `${id}@storm.invalid` })));
    for (const kind of marketKinds) await makeAccount(tx, kind, null);
    for (const id of ids) for (const kind of personalKinds) await makeAccount(tx, kind, id);
  });
  const { rows } = await db.execute<{ id: AccountId; kind: AccountKind; owner: UserId | null }>(
    sql`select id, kind, owner_id as owner from ledger_accounts`,
  );
  const placeOf = new Map(ids.map((id, place) => [id, place]));
  return new Map(
    rows.map(({ id, kind, owner }) => [nameOf(kind, owner === null ? undefined : placeOf.get(owner)), id]),
  );
}

export async function readBalances(db: Db): Promise<Map<AccountId, bigint>> {
  const { rows } = await db.execute<{ id: AccountId; balance: string }>(
    sql`select id, credits_micros - debits_micros as balance from ledger_accounts`,
  );
  return new Map(rows.map(({ id, balance }) => [id, BigInt(balance)]));
}

/** The process of the server that this transaction is in. */
export async function backendOf(tx: Tx): Promise<number> {
  const { rows } = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
  return rows[0]?.pid ?? 0;
}

/** Ends it, as a crash or a cut connection would. */
export async function terminate(db: Db, pid: number): Promise<void> {
  await db.execute(sql`select pg_terminate_backend(${pid}::int)`);
}
