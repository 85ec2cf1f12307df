import type { Db, Tx } from '@computefabric/db/client';
import { type AccountKind, ledgerAccounts } from '@computefabric/db/schema/ledger-accounts';
import { ledgerTransfers } from '@computefabric/db/schema/ledger-transfers';
import { type AccountId, newId, type UserId } from '@computefabric/protocol/ids';
import { and, eq, inArray, isNull, sql } from 'drizzle-orm';

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

/** Ids of the accounts of this kind that these users have. */
export async function findAccountsOf(
  tx: Tx,
  kind: AccountKind,
  ownerIds: readonly UserId[],
): Promise<Map<UserId, AccountId>> {
  if (ownerIds.length === 0) return new Map();
  const rows = await tx
    .select({ id: ledgerAccounts.id, ownerId: ledgerAccounts.ownerId })
    .from(ledgerAccounts)
    .where(and(eq(ledgerAccounts.kind, kind), inArray(ledgerAccounts.ownerId, [...ownerIds])));
  return new Map(rows.flatMap(({ id, ownerId }) => (ownerId === null ? [] : [[ownerId, id] as const])));
}

/** Makes the account unless it exists (somebody else may be making it at the same moment). */
export async function makeAccount(tx: Tx, kind: AccountKind, ownerId: UserId | null): Promise<void> {
  await tx
    .insert(ledgerAccounts)
    .values({ id: newId('account'), kind, ownerId })
    .onConflictDoNothing();
}

/** What is written of a transfer; the moment is the database's. */
export type NewTransfer = Omit<TransferRow, 'createdAt'>;

/**
 * Writes transfers in one statement, in the order of their ids, leaving out those whose cause was posted before.
 * The database adds the new ones to their accounts in the same statement.
 *
 * @returns how many were new
 */
export async function insertTransfers(tx: Tx, transfers: readonly NewTransfer[]): Promise<number> {
  const { rowCount } = await tx.execute(sql`
    insert into ledger_transfers (id, kind, debit_account_id, credit_account_id, amount_micros, job_id, lease_id)
    select * from ${rowsOf(transfers)} order by id on conflict (id) do nothing`);
  return rowCount ?? 0;
}

/** Those of the transfers that the books do not have exactly so: another amount, or other accounts. */
export async function findOtherwise(tx: Tx, transfers: readonly NewTransfer[]): Promise<string[]> {
  const { rows } = await tx.execute<{ id: string }>(sql`
    select given.id from ${rowsOf(transfers)} left join ledger_transfers t on t.id = given.id
      and t.amount_micros = given.amount_micros and t.debit_account_id = given.debit_account_id
      and t.credit_account_id = given.credit_account_id
    where t.id is null order by given.id`);
  return rows.map(({ id }) => id);
}

/** Transfers as a table: one array per column, so that the statement is the same for any number of them. */
function rowsOf(transfers: readonly NewTransfer[]) {
  const column = (of: (transfer: NewTransfer) => string | null) => sql.param(transfers.map(of));
  return sql`unnest(${column(({ id }) => id)}::text[], ${column(({ kind }) => kind)}::text[],
    ${column(({ debitAccountId }) => debitAccountId)}::text[], ${column(({ creditAccountId }) => creditAccountId)}::text[],
    ${column(({ amountMicros }) => String(amountMicros))}::bigint[], ${column(({ jobId }) => jobId)}::text[],
    ${column(({ leaseId }) => leaseId)}::text[])
    as given (id, kind, debit_account_id, credit_account_id, amount_micros, job_id, lease_id)`;
}

export async function findTransfer(tx: Tx, id: string): Promise<TransferRow | null> {
  const [row] = await tx.select().from(ledgerTransfers).where(eq(ledgerTransfers.id, id));
  return row ?? null;
}
