import type { Db, Tx } from '@computefabric/db/client';
import { billingAccounts } from '@computefabric/db/schema/billing-accounts';
import { users } from '@computefabric/db/schema/users';
import type { UserId } from '@computefabric/protocol/ids';
import type { BillingMode } from '@computefabric/protocol/top-up-state';
import { invariant } from '@computefabric/runtime/invariant';
import { and, eq, isNotNull, isNull, ne, or, sql } from 'drizzle-orm';

export type BillingAccountRow = typeof billingAccounts.$inferSelect;

export async function findBillingAccount(db: Db | Tx, userId: UserId): Promise<BillingAccountRow | null> {
  const [row] = await db.select().from(billingAccounts).where(eq(billingAccounts.userId, userId));
  return row ?? null;
}

/**
 * Locks a user's billing account for the rest of the transaction, making it first where there is none. Whoever
 * changes what a user owes holds this lock, so that a debt is neither paid twice nor overdrawn.
 */
export async function lockBillingAccount(tx: Tx, userId: UserId): Promise<BillingAccountRow> {
  await tx.insert(billingAccounts).values({ userId }).onConflictDoNothing();
  const [row] = await tx
    .select()
    .from(billingAccounts)
    .where(eq(billingAccounts.userId, userId))
    .for('update');
  invariant(row, `the billing account of ${userId} exists once it was made`);
  return row;
}

export async function changeBillingAccount(
  db: Db | Tx,
  userId: UserId,
  change: Partial<Omit<BillingAccountRow, 'userId'>>,
): Promise<void> {
  const rows = await db
    .update(billingAccounts)
    .set(change)
    .where(eq(billingAccounts.userId, userId))
    .returning({ userId: billingAccounts.userId });
  invariant(rows.length === 1, `the billing account of ${userId} exists`);
}

/** Keeps the first customer that was made for a user; gives the one that counts. */
export async function keepCustomer(db: Db, userId: UserId, customerId: string): Promise<string> {
  await db
    .update(billingAccounts)
    .set({ customerId })
    .where(and(eq(billingAccounts.userId, userId), isNull(billingAccounts.customerId)));
  const kept = (await findBillingAccount(db, userId))?.customerId;
  invariant(kept, `${userId} has a customer once one was kept`);
  return kept;
}

export async function findUserOfCustomer(db: Db, customerId: string): Promise<UserId | null> {
  const [row] = await db
    .select({ userId: billingAccounts.userId })
    .from(billingAccounts)
    .where(eq(billingAccounts.customerId, customerId));
  return row?.userId ?? null;
}

/**
 * Makes every account agree with the mode of the market, also those of people who came since: where each job
 * is charged, whoever has a card has credit; where a balance is topped up, nobody has.
 */
export async function alignAccounts(db: Db, mode: BillingMode, creditLimitMicros: bigint): Promise<void> {
  if (mode === 'per_job') {
    await db.execute(
      sql`insert into billing_accounts (user_id) select u.id from ${users} u
        where not exists (select from billing_accounts b where b.user_id = u.id) on conflict (user_id) do nothing`,
    );
  }
  const limit = sql`case when ${mode} = 'per_job' and ${billingAccounts.cardId} is not null then ${creditLimitMicros}::bigint else 0 end`;
  await db
    .update(billingAccounts)
    .set({ mode, creditLimitMicros: limit })
    .where(or(ne(billingAccounts.mode, mode), ne(billingAccounts.creditLimitMicros, limit)));
}

/** Notes a refused automatic top-up: later again, each time later, and off after `most` in a row. */
export async function noteAutoFailure(tx: Tx, userId: UserId, most: number, because: string): Promise<void> {
  const { autoFailures } = billingAccounts;
  await tx
    .update(billingAccounts)
    .set({
      autoFailures: sql`${autoFailures} + 1`,
      autoNotBefore: sql`now() + make_interval(hours => (2 ^ least(${autoFailures}, 6))::int)`,
      autoPausedBecause: sql`case when ${autoFailures} + 1 >= ${most} then ${because} else ${billingAccounts.autoPausedBecause} end`,
    })
    .where(eq(billingAccounts.userId, userId));
}

/** People whose balance is below their threshold, who have a card and room below their monthly ceiling. */
export async function findLowBalances(db: Db, limit: number): Promise<UserId[]> {
  const { rows } = await db.execute<{ user_id: UserId }>(sql`
    select b.user_id from billing_accounts b
    left join ledger_accounts a on a.owner_id = b.user_id and a.kind = 'renter_available'
    where ${isNotNull(sql`b.auto_threshold_micros`)} and b.auto_paused_because is null and b.card_id is not null
      and b.frozen_by is null and coalesce(b.auto_not_before <= now(), true)
      and coalesce(a.credits_micros - a.debits_micros, 0) < b.auto_threshold_micros
      and not exists (select from top_ups t where t.user_id = b.user_id and t.method = 'automatic'
        and t.state in ('open', 'needs_action'))
      and b.auto_amount_micros + (
        select coalesce(sum(t.amount_micros), 0) from top_ups t
        where t.user_id = b.user_id and t.method = 'automatic' and t.state = 'succeeded'
          and t.created_at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC'
      ) <= b.auto_ceiling_micros
    order by b.user_id limit ${limit}`);
  return rows.map(({ user_id }) => user_id);
}
