import type { Db, Tx } from '@computefabric/db/client';
import { payoutAccounts } from '@computefabric/db/schema/payout-accounts';
import type { UserId } from '@computefabric/protocol/ids';
import type { PayoutSchedule } from '@computefabric/protocol/payout-state';
import { invariant } from '@computefabric/runtime/invariant';
import { and, eq, inArray, isNull, sql } from 'drizzle-orm';
import type { PayoutAccountState } from '../stripe/stripe-gateway.ts';

export type PayoutAccountRow = typeof payoutAccounts.$inferSelect;

/** When a schedule pays next: at 00:00 UTC of the next day or Monday. */
const nextOf = sql`case ${payoutAccounts.schedule}
  when 'daily' then (date_trunc('day', now() at time zone 'UTC') + interval '1 day') at time zone 'UTC'
  when 'weekly' then (date_trunc('week', now() at time zone 'UTC') + interval '7 days') at time zone 'UTC' end`;

export async function findPayoutAccount(db: Db | Tx, userId: UserId): Promise<PayoutAccountRow | null> {
  const [row] = await db.select().from(payoutAccounts).where(eq(payoutAccounts.userId, userId));
  return row ?? null;
}

export async function findPayoutAccounts(db: Db, userIds: readonly UserId[]): Promise<PayoutAccountRow[]> {
  if (userIds.length === 0) return [];
  return await db
    .select()
    .from(payoutAccounts)
    .where(inArray(payoutAccounts.userId, [...userIds]));
}

export async function findUserOfAccount(db: Db, accountId: string): Promise<UserId | null> {
  const [row] = await db
    .select({ userId: payoutAccounts.userId })
    .from(payoutAccounts)
    .where(eq(payoutAccounts.accountId, accountId));
  return row?.userId ?? null;
}

/** Keeps the first account that was made for a user; gives the one that counts. It is never replaced. */
export async function keepAccount(db: Db, userId: UserId, accountId: string): Promise<string> {
  await ensureAccount(db, userId);
  await db
    .update(payoutAccounts)
    .set({ accountId, readAgainAt: sql`now()` })
    .where(and(eq(payoutAccounts.userId, userId), isNull(payoutAccounts.accountId)));
  const kept = (await findPayoutAccount(db, userId))?.accountId;
  invariant(kept, `${userId} has an account once one was kept`);
  return kept;
}

async function ensureAccount(db: Db | Tx, userId: UserId): Promise<void> {
  await db.insert(payoutAccounts).values({ userId }).onConflictDoNothing();
}

/** What Stripe says of an account. One that has become able to take transfers begins its schedule. */
export async function noteAccount(
  db: Db,
  userId: UserId,
  state: PayoutAccountState & { bankedMicros: bigint; bankFailure: string | null },
): Promise<void> {
  const { takesTransfers, paysOut, detailsSubmitted, missing, disabledReason } = state;
  const { bankedMicros, bankFailure } = state;
  await db
    .update(payoutAccounts)
    .set({
      takesTransfers,
      paysOut,
      detailsSubmitted,
      missing,
      disabledReason,
      bankedMicros,
      bankFailure,
      nextPayoutAt: takesTransfers ? sql`coalesce(${payoutAccounts.nextPayoutAt}, ${nextOf})` : null,
      // Events tell of changes at once; this is for those that never come.
      readAgainAt: sql`now() + make_interval(mins => ${takesTransfers && paysOut ? 360 : 5})`,
    })
    .where(and(eq(payoutAccounts.userId, userId), eq(payoutAccounts.accountId, state.accountId)));
}

export async function changeSchedule(
  tx: Tx,
  userId: UserId,
  change: { schedule?: PayoutSchedule | undefined; minimumMicros?: bigint | undefined },
): Promise<PayoutAccountRow> {
  await ensureAccount(tx, userId);
  const { schedule, minimumMicros } = change;
  if (schedule !== undefined || minimumMicros !== undefined) {
    await tx
      .update(payoutAccounts)
      .set({
        ...(schedule === undefined ? {} : { schedule }),
        ...(minimumMicros === undefined ? {} : { minimumMicros }),
      })
      .where(eq(payoutAccounts.userId, userId));
  }
  if (schedule !== undefined) {
    await tx
      .update(payoutAccounts)
      .set({ nextPayoutAt: sql`case when ${payoutAccounts.takesTransfers} then ${nextOf} end` })
      .where(eq(payoutAccounts.userId, userId));
  }
  const row = await findPayoutAccount(tx, userId);
  invariant(row, `the payout account of ${userId} exists once it was made`);
  return row;
}

/** Owners whose schedule says now. */
export async function findDueAccounts(
  db: Db,
  limit: number,
): Promise<{ userId: UserId; minimumMicros: bigint | null }[]> {
  return await db
    .select({ userId: payoutAccounts.userId, minimumMicros: payoutAccounts.minimumMicros })
    .from(payoutAccounts)
    .where(and(eq(payoutAccounts.takesTransfers, true), sql`${payoutAccounts.nextPayoutAt} <= now()`))
    .orderBy(payoutAccounts.nextPayoutAt)
    .limit(limit);
}

/** On to the next day or Monday. */
export async function advanceSchedule(db: Db | Tx, userId: UserId): Promise<void> {
  await db.update(payoutAccounts).set({ nextPayoutAt: nextOf }).where(eq(payoutAccounts.userId, userId));
}

/** A refused transfer: what the account can do is asked anew, and the next by itself waits longer each time. */
export async function noteRefusal(tx: Tx, userId: UserId): Promise<void> {
  const { failures } = payoutAccounts;
  await tx
    .update(payoutAccounts)
    .set({
      failures: sql`${failures} + 1`,
      readAgainAt: sql`now()`,
      nextPayoutAt: sql`case when ${payoutAccounts.schedule} <> 'manual'
        then now() + make_interval(hours => least(24, (2 ^ least(${failures}, 5))::int)) end`,
    })
    .where(eq(payoutAccounts.userId, userId));
}

export async function forgetRefusals(tx: Tx, userId: UserId): Promise<void> {
  await tx.update(payoutAccounts).set({ failures: 0 }).where(eq(payoutAccounts.userId, userId));
}

/** Takes accounts that Stripe is to be asked about; another process finds them again after `claimSeconds`. */
export async function claimAccountsToRead(db: Db, limit: number, claimSeconds: number): Promise<UserId[]> {
  const { rows } = await db.execute<{ user_id: UserId }>(sql`
    update payout_accounts set read_again_at = now() + make_interval(secs => ${claimSeconds}) where user_id in (
      select user_id from payout_accounts where account_id is not null and read_again_at <= now()
      order by read_again_at limit ${limit} for update skip locked)
    returning user_id`);
  return rows.map(({ user_id }) => user_id);
}
