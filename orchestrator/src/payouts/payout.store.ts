import type { Db, Tx } from '@computefabric/db/client';
import { payoutReversals } from '@computefabric/db/schema/payout-reversals';
import { payouts } from '@computefabric/db/schema/payouts';
import { users } from '@computefabric/db/schema/users';
import { newId, type PayoutId, type UserId } from '@computefabric/protocol/ids';
import { payoutMachine, type PayoutState } from '@computefabric/protocol/payout-state';
import { and, desc, eq, inArray, lt, sql } from 'drizzle-orm';

export type PayoutRow = typeof payouts.$inferSelect;
/** A payout, and whom it goes to. */
export type AddressedPayout = PayoutRow & { email: string };

export async function findPayout(db: Db | Tx, id: PayoutId): Promise<AddressedPayout | null> {
  const [row] = await db
    .select({ payout: payouts, email: users.email })
    .from(payouts)
    .innerJoin(users, eq(users.id, payouts.userId))
    .where(eq(payouts.id, id));
  return row ? { ...row.payout, email: row.email } : null;
}

export async function lockPayout(tx: Tx, id: PayoutId): Promise<PayoutRow | null> {
  const [row] = await tx.select().from(payouts).where(eq(payouts.id, id)).for('update');
  return row ?? null;
}

export async function findPayoutOfTransfer(db: Db, transferId: string): Promise<PayoutId | null> {
  const [row] = await db.select({ id: payouts.id }).from(payouts).where(eq(payouts.transferId, transferId));
  return row?.id ?? null;
}

/** Payouts, newest first. @param page.userId null is everybody */
export async function listPayouts(
  db: Db,
  page: {
    userId: UserId | null;
    state: PayoutState | undefined;
    limit: number;
    before: PayoutId | undefined;
  },
): Promise<AddressedPayout[]> {
  const rows = await db
    .select({ payout: payouts, email: users.email })
    .from(payouts)
    .innerJoin(users, eq(users.id, payouts.userId))
    .where(
      and(
        page.userId === null ? undefined : eq(payouts.userId, page.userId),
        page.state === undefined ? undefined : eq(payouts.state, page.state),
        page.before === undefined ? undefined : lt(payouts.id, page.before),
      ),
    )
    .orderBy(desc(payouts.id))
    .limit(page.limit);
  return rows.map(({ payout, email }) => ({ ...payout, email }));
}

/** A payout that is to be sent; null while another to the same owner is. */
export async function insertTransferPayout(
  tx: Tx,
  payout: { userId: UserId; amountMicros: bigint; accountId: string },
): Promise<PayoutRow | null> {
  const [row] = await tx
    .insert(payouts)
    .values({ id: newId('payout'), method: 'stripe', state: 'created', ...payout })
    .onConflictDoNothing()
    .returning();
  return row ?? null;
}

/** A payout that the operator has made. */
export async function insertManualPayout(
  tx: Tx,
  payout: { userId: UserId; amountMicros: bigint; reference: string; recordedBy: UserId },
): Promise<PayoutRow | null> {
  const now = sql`now()`;
  const [row] = await tx
    .insert(payouts)
    .values({ id: newId('payout'), method: 'manual', state: 'paid', ...payout, sentAt: now, settledAt: now })
    .returning();
  return row ?? null;
}

/** Moves a payout to a state that its machine allows from where it is; false when it does not. */
export async function movePayout(
  db: Db | Tx,
  id: PayoutId,
  state: PayoutState,
  change: Partial<Pick<PayoutRow, 'transferId' | 'failureCode' | 'failureMessage'>> = {},
): Promise<boolean> {
  const now = sql`now()`;
  const rows = await db
    .update(payouts)
    .set({
      ...change,
      state,
      ...(state === 'sent' ? { sentAt: now, attempts: 0 } : {}),
      ...(state === 'paid' || state === 'failed' || state === 'reversed' ? { settledAt: now } : {}),
    })
    .where(and(eq(payouts.id, id), inArray(payouts.state, payoutMachine.sourcesOf(state))))
    .returning({ id: payouts.id });
  return rows.length === 1;
}

/** Notes that money came back, once for each id; false when that was noted before. */
export async function insertReversal(
  tx: Tx,
  reversal: { id: string; payoutId: PayoutId; amountMicros: bigint },
): Promise<boolean> {
  const rows = await tx
    .insert(payoutReversals)
    .values(reversal)
    .onConflictDoNothing({ target: payoutReversals.id })
    .returning({ id: payoutReversals.id });
  if (rows.length === 0) return false;
  await tx
    .update(payouts)
    .set({ returnedMicros: sql`${payouts.returnedMicros} + ${reversal.amountMicros}` })
    .where(eq(payouts.id, reversal.payoutId));
  return true;
}

export async function postponePayout(db: Db | Tx, id: PayoutId, seconds: number): Promise<void> {
  await db
    .update(payouts)
    .set({
      attempts: sql`${payouts.attempts} + 1`,
      notBefore: sql`now() + make_interval(secs => ${seconds})`,
    })
    .where(eq(payouts.id, id));
}

/** Takes payouts that are due for this process; another one finds them again after `claimSeconds`. */
export async function claimDuePayouts(db: Db, limit: number, claimSeconds: number): Promise<PayoutId[]> {
  const { rows } = await db.execute<{ id: PayoutId }>(sql`
    update payouts set not_before = now() + make_interval(secs => ${claimSeconds}) where id in (
      select id from payouts where state in ('created', 'sending', 'sent') and not_before <= now()
      order by not_before limit ${limit} for update skip locked)
    returning id`);
  return rows.map(({ id }) => id);
}

/**
 * Payouts that the owner's bank has: those that were sent first, as far as what Stripe has paid to the bank goes.
 *
 * @returns how many
 */
export async function markArrived(db: Db | Tx, userId: UserId): Promise<number> {
  const { rowCount } = await db.execute(sql`
    update payouts p set state = 'paid', settled_at = now()
    from (
      select q.id, sum(q.amount_micros - q.returned_micros) over (order by q.sent_at, q.id) <= a.banked_micros as arrived
      from payouts q join payout_accounts a on a.account_id = q.account_id
      where q.user_id = ${userId} and q.state in ('sent', 'paid', 'reversed')
    ) as one
    where p.id = one.id and one.arrived and p.state = 'sent'`);
  return rowCount ?? 0;
}

/** What was paid out to a user and did not come back, micros. */
export async function paidOutMicros(db: Db | Tx, userId: UserId): Promise<bigint> {
  const [row] = await db
    .select({
      micros: sql<string>`coalesce(sum(${payouts.amountMicros} - ${payouts.returnedMicros}), 0)::text`,
    })
    .from(payouts)
    .where(and(eq(payouts.userId, userId), inArray(payouts.state, ['sent', 'paid', 'reversed'])));
  return BigInt(row?.micros ?? 0);
}

export async function hasPayoutUnderWay(db: Db | Tx, userId: UserId): Promise<boolean> {
  const rows = await db
    .select({ id: payouts.id })
    .from(payouts)
    .where(and(eq(payouts.userId, userId), inArray(payouts.state, ['created', 'sending'])));
  return rows.length > 0;
}

/** How many payouts are in each state. */
export async function countPayouts(db: Db): Promise<Record<string, number>> {
  const rows = await db
    .select({ state: payouts.state, count: sql<number>`count(*)::int` })
    .from(payouts)
    .groupBy(payouts.state);
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}
