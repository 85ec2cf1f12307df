import type { Db, Tx } from '@computefabric/db/client';
import { payments } from '@computefabric/db/schema/payments';
import { topUps } from '@computefabric/db/schema/top-ups';
import { newId, type TopUpId, type UserId } from '@computefabric/protocol/ids';
import type { PaymentState } from '@computefabric/protocol/payment-state';
import { paymentMachine } from '@computefabric/protocol/payment-state';
import { type TopUpMethod, topUpMachine, type TopUpState } from '@computefabric/protocol/top-up-state';
import { and, desc, eq, inArray, isNotNull, isNull, lt, or, sql } from 'drizzle-orm';

export type TopUpRow = typeof topUps.$inferSelect;

export async function findTopUp(db: Db | Tx, id: TopUpId): Promise<TopUpRow | null> {
  const [row] = await db.select().from(topUps).where(eq(topUps.id, id));
  return row ?? null;
}

export async function lockTopUp(tx: Tx, id: TopUpId): Promise<TopUpRow | null> {
  const [row] = await tx.select().from(topUps).where(eq(topUps.id, id)).for('update');
  return row ?? null;
}

/** The top-up that one of Stripe's ids belongs to. */
export async function findTopUpBy(
  db: Db | Tx,
  by: 'intentId' | 'checkoutId',
  id: string,
): Promise<TopUpRow | null> {
  const [row] = await db.select().from(topUps).where(eq(topUps[by], id));
  return row ?? null;
}

/** Checkouts of a user whose payment is not known yet. */
export async function findOpenCheckouts(db: Db, userId: UserId): Promise<TopUpId[]> {
  const rows = await db
    .select({ id: topUps.id })
    .from(topUps)
    .where(
      and(
        eq(topUps.userId, userId),
        isNull(topUps.intentId),
        isNotNull(topUps.checkoutId),
        inArray(topUps.state, ['open', 'canceled']),
      ),
    )
    .orderBy(desc(topUps.id))
    .limit(20);
  return rows.map(({ id }) => id);
}

export async function listTopUpsOf(
  db: Db,
  userId: UserId,
  page: { limit: number; before: TopUpId | undefined },
): Promise<TopUpRow[]> {
  return await db
    .select()
    .from(topUps)
    .where(and(eq(topUps.userId, userId), page.before === undefined ? undefined : lt(topUps.id, page.before)))
    .orderBy(desc(topUps.id))
    .limit(page.limit);
}

/** Charges of a user that wait for them: to be confirmed, or refused for ended jobs. */
export async function findUnpaid(db: Db, userId: UserId): Promise<TopUpRow[]> {
  return await db
    .select()
    .from(topUps)
    .where(
      and(
        eq(topUps.userId, userId),
        or(eq(topUps.state, 'needs_action'), and(eq(topUps.method, 'per_job'), eq(topUps.state, 'failed'))),
      ),
    )
    .orderBy(desc(topUps.id))
    .limit(100);
}

/** The first top-up of a request's key, made now or before. */
export async function insertRequested(
  tx: Tx,
  topUp: { userId: UserId; requestKey: string; method: TopUpMethod; amountMicros: bigint },
): Promise<TopUpRow | null> {
  await tx
    .insert(topUps)
    .values({ id: newId('topUp'), ...topUp })
    .onConflictDoNothing({ target: [topUps.userId, topUps.requestKey] });
  const [row] = await tx
    .select()
    .from(topUps)
    .where(and(eq(topUps.userId, topUp.userId), eq(topUps.requestKey, topUp.requestKey)));
  return row ?? null;
}

/** A charge of the saved card; null while another of its kind is under way. */
export async function insertCharge(
  tx: Tx,
  charge: { userId: UserId; method: 'automatic' | 'per_job'; amountMicros: bigint; cardId: string },
): Promise<TopUpId | null> {
  const [row] = await tx
    .insert(topUps)
    .values({ id: newId('topUp'), attempts: 1, ...charge })
    .onConflictDoNothing()
    .returning({ id: topUps.id });
  return row?.id ?? null;
}

/** Writes down what Stripe has made for a top-up, once; gives the row as it is then. */
export async function keepStripeIds(
  db: Db,
  id: TopUpId,
  ids: { checkoutId: string; checkoutUrl: string | null } | { intentId: string },
): Promise<TopUpRow | null> {
  const unknown = 'intentId' in ids ? isNull(topUps.intentId) : isNull(topUps.checkoutId);
  await db
    .update(topUps)
    .set(ids)
    .where(and(eq(topUps.id, id), unknown));
  return await findTopUp(db, id);
}

/** Moves a top-up to a state that its machine allows from where it is; false when it does not. */
export async function moveTopUp(
  tx: Tx,
  id: TopUpId,
  state: TopUpState,
  change: Partial<TopUpRow> = {},
): Promise<boolean> {
  const isFinal = state !== 'open' && state !== 'needs_action';
  const rows = await tx
    .update(topUps)
    .set({ ...change, state, settledAt: isFinal ? sql`now()` : null })
    .where(and(eq(topUps.id, id), inArray(topUps.state, topUpMachine.sourcesOf(state))))
    .returning({ id: topUps.id });
  return rows.length === 1;
}

/** Keeps the state, notes what was learnt, and when to look again. */
export async function noteTopUp(
  db: Db | Tx,
  id: TopUpId,
  lookAgainSeconds: number,
  change: Partial<Pick<TopUpRow, 'failureCode' | 'failureMessage' | 'actionUrl'>> = {},
): Promise<void> {
  await db
    .update(topUps)
    .set({ ...change, notBefore: sql`now() + make_interval(secs => ${lookAgainSeconds})` })
    .where(eq(topUps.id, id));
}

/** A refused charge of ended jobs, tried again with the card that there is now; true when there was one. */
export async function reopenRefused(tx: Tx, userId: UserId, cardId: string): Promise<boolean> {
  const rows = await tx
    .update(topUps)
    .set({
      state: 'open',
      cardId,
      attempts: sql`${topUps.attempts} + 1`,
      notBefore: sql`now()`,
      failureCode: null,
      failureMessage: null,
      settledAt: null,
    })
    .where(and(eq(topUps.userId, userId), eq(topUps.method, 'per_job'), eq(topUps.state, 'failed')))
    .returning({ id: topUps.id });
  return rows.length > 0;
}

/** Takes top-ups that are due for this process; another one finds them again after `claimSeconds`. */
export async function claimDueTopUps(db: Db, limit: number, claimSeconds: number): Promise<TopUpId[]> {
  const { rows } = await db.execute<{ id: TopUpId }>(sql`
    update top_ups set not_before = now() + make_interval(secs => ${claimSeconds}) where id in (
      select id from top_ups where state in ('open', 'needs_action') and not_before <= now()
      order by not_before limit ${limit} for update skip locked)
    returning id`);
  return rows.map(({ id }) => id);
}

/** Payments of jobs that a charge pays: to a state that their machine allows from where each is. */
export async function movePaymentsOf(tx: Tx, topUpId: TopUpId, state: PaymentState): Promise<void> {
  await tx
    .update(payments)
    .set({ state })
    .where(and(eq(payments.topUpId, topUpId), inArray(payments.state, paymentMachine.sourcesOf(state))));
}
