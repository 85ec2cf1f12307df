import type { Db, Tx } from '@computefabric/db/client';
import { type AccountKind, ledgerAccounts, overdrawnKinds } from '@computefabric/db/schema/ledger-accounts';
import { ledgerTransfers } from '@computefabric/db/schema/ledger-transfers';
import { type AccountId, newId, type UserId } from '@computefabric/protocol/ids';
import { and, eq, inArray, isNull, or, sql } from 'drizzle-orm';

export type AccountRow = typeof ledgerAccounts.$inferSelect;
export type TransferRow = typeof ledgerTransfers.$inferSelect;

export async function findAccount(
  db: Db | Tx,
  kind: AccountKind,
  ownerId: UserId | null,
): Promise<AccountRow | null> {
  const [row] = await db
    .select()
    .from(ledgerAccounts)
    .where(
      and(
        eq(ledgerAccounts.kind, kind),
        ownerId === null ? isNull(ledgerAccounts.ownerId) : eq(ledgerAccounts.ownerId, ownerId),
      ),
    );
  return row ?? null;
}

export async function accountById(tx: Tx, accountId: AccountId): Promise<AccountRow | null> {
  const [row] = await tx.select().from(ledgerAccounts).where(eq(ledgerAccounts.id, accountId));
  return row ?? null;
}

/** Makes the account unless it exists (somebody else may be making it at the same moment). */
export async function makeAccount(tx: Tx, kind: AccountKind, ownerId: UserId | null): Promise<void> {
  await tx
    .insert(ledgerAccounts)
    .values({ id: newId('account'), kind, ownerId })
    .onConflictDoNothing();
}

/** Rows of one statement; PostgreSQL takes 65,535 values in one. */
const insertBatch = 1_000;

/** Writes transfers, leaving out those whose cause was posted before; gives the ids of the new ones. */
export async function insertTransfers(
  tx: Tx,
  transfers: readonly (typeof ledgerTransfers.$inferInsert)[],
): Promise<ReadonlySet<string>> {
  const inserted = new Set<string>();
  for (let start = 0; start < transfers.length; start += insertBatch) {
    const rows = await tx
      .insert(ledgerTransfers)
      .values(transfers.slice(start, start + insertBatch))
      .onConflictDoNothing({ target: ledgerTransfers.id })
      .returning({ id: ledgerTransfers.id });
    for (const { id } of rows) inserted.add(id);
  }
  return inserted;
}

export async function findTransfer(tx: Tx, id: string): Promise<TransferRow | null> {
  const [row] = await tx.select().from(ledgerTransfers).where(eq(ledgerTransfers.id, id));
  return row ?? null;
}

/**
 * Adds to an account's running totals, unless its balance would fall below zero and its kind is not one of
 * `overdrawnKinds`; false then.
 */
export async function moveTotals(
  tx: Tx,
  accountId: AccountId,
  delta: { creditMicros: bigint; debitMicros: bigint },
): Promise<boolean> {
  const { creditsMicros, debitsMicros, id, kind } = ledgerAccounts;
  const rows = await tx
    .update(ledgerAccounts)
    .set({
      creditsMicros: sql`${creditsMicros} + ${delta.creditMicros}`,
      debitsMicros: sql`${debitsMicros} + ${delta.debitMicros}`,
    })
    .where(
      and(
        eq(id, accountId),
        or(
          inArray(kind, [...overdrawnKinds]),
          sql`${creditsMicros} + ${delta.creditMicros} >= ${debitsMicros} + ${delta.debitMicros}`,
        ),
      ),
    )
    .returning({ id });
  return rows.length === 1;
}
