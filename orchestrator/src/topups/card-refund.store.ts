import type { Db, Tx } from '@computefabric/db/client';
import { cardRefunds } from '@computefabric/db/schema/card-refunds';
import { newId, type CardRefundId, type TopUpId, type UserId } from '@computefabric/protocol/ids';
import type { CardRefundState } from '@computefabric/protocol/top-up-state';
import { and, desc, eq, inArray, isNull, sql } from 'drizzle-orm';

export type CardRefundRow = typeof cardRefunds.$inferSelect;

export async function findCardRefund(db: Db | Tx, id: CardRefundId): Promise<CardRefundRow | null> {
  const [row] = await db.select().from(cardRefunds).where(eq(cardRefunds.id, id));
  return row ?? null;
}

export async function findCardRefundByStripe(
  db: Db | Tx,
  stripeRefundId: string,
): Promise<CardRefundRow | null> {
  const [row] = await db.select().from(cardRefunds).where(eq(cardRefunds.stripeRefundId, stripeRefundId));
  return row ?? null;
}

export async function lockCardRefund(tx: Tx, id: CardRefundId): Promise<CardRefundRow | null> {
  const [row] = await tx.select().from(cardRefunds).where(eq(cardRefunds.id, id)).for('update');
  return row ?? null;
}

export async function insertCardRefund(
  tx: Tx,
  refund: Pick<CardRefundRow, 'userId' | 'topUpId' | 'amountMicros'> & { stripeRefundId?: string },
): Promise<CardRefundRow | null> {
  const [row] = await tx
    .insert(cardRefunds)
    .values({ id: newId('cardRefund'), ...refund })
    .onConflictDoNothing()
    .returning();
  return row ?? null;
}

/** Writes down Stripe's refund, once. */
export async function keepStripeRefund(tx: Tx, id: CardRefundId, stripeRefundId: string): Promise<void> {
  await tx
    .update(cardRefunds)
    .set({ stripeRefundId })
    .where(and(eq(cardRefunds.id, id), isNull(cardRefunds.stripeRefundId)));
}

/** To `state`, from one of `from`; false when it is elsewhere. */
export async function moveCardRefund(
  tx: Tx,
  id: CardRefundId,
  from: readonly CardRefundState[],
  state: CardRefundState,
  failure: string | null,
): Promise<boolean> {
  const rows = await tx
    .update(cardRefunds)
    .set({ state, failure, settledAt: sql`now()` })
    .where(and(eq(cardRefunds.id, id), inArray(cardRefunds.state, [...from])))
    .returning({ id: cardRefunds.id });
  return rows.length === 1;
}

export async function postponeCardRefund(db: Db | Tx, id: CardRefundId, seconds: number): Promise<void> {
  await db
    .update(cardRefunds)
    .set({
      attempts: sql`${cardRefunds.attempts} + 1`,
      notBefore: sql`now() + make_interval(secs => ${seconds})`,
    })
    .where(eq(cardRefunds.id, id));
}

export async function claimDueRefunds(db: Db, limit: number, claimSeconds: number): Promise<CardRefundId[]> {
  const { rows } = await db.execute<{ id: CardRefundId }>(sql`
    update card_refunds set not_before = now() + make_interval(secs => ${claimSeconds}) where id in (
      select id from card_refunds where state = 'pending' and not_before <= now()
      order by not_before limit ${limit} for update skip locked)
    returning id`);
  return rows.map(({ id }) => id);
}

export async function listCardRefundsOf(db: Db, userId: UserId, limit: number): Promise<CardRefundRow[]> {
  return await db
    .select()
    .from(cardRefunds)
    .where(eq(cardRefunds.userId, userId))
    .orderBy(desc(cardRefunds.id))
    .limit(limit);
}

/** What of a user's top-ups can still go back to the card: newest first, micros; disputed ones are not among them. */
export async function findRefundable(
  tx: Tx,
  userId: UserId,
): Promise<{ topUpId: TopUpId; leftMicros: bigint }[]> {
  const { rows } = await tx.execute<{ id: TopUpId; left_micros: string }>(sql`
    select t.id, (t.amount_micros - coalesce(sum(r.amount_micros) filter (where r.state <> 'failed'), 0))::text as left_micros
    from top_ups t left join card_refunds r on r.top_up_id = t.id
    where t.user_id = ${userId} and t.state = 'succeeded'
      and not exists (select from card_disputes d where d.top_up_id = t.id)
    group by t.id order by t.id desc`);
  return rows
    .map((row) => ({ topUpId: row.id, leftMicros: BigInt(row.left_micros) }))
    .filter(({ leftMicros }) => leftMicros > 0n);
}
