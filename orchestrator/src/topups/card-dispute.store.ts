import type { Db, Tx } from '@computefabric/db/client';
import { cardDisputes } from '@computefabric/db/schema/card-disputes';
import type { UserId } from '@computefabric/protocol/ids';
import { and, desc, eq, isNull, sql } from 'drizzle-orm';

export type CardDisputeRow = typeof cardDisputes.$inferSelect;

export async function lockDispute(tx: Tx, id: string): Promise<CardDisputeRow | null> {
  const [row] = await tx.select().from(cardDisputes).where(eq(cardDisputes.id, id)).for('update');
  return row ?? null;
}

export async function findDispute(db: Db, id: string): Promise<CardDisputeRow | null> {
  const [row] = await db.select().from(cardDisputes).where(eq(cardDisputes.id, id));
  return row ?? null;
}

export async function insertDispute(
  tx: Tx,
  dispute: Pick<CardDisputeRow, 'id' | 'userId' | 'topUpId' | 'amountMicros' | 'reason' | 'evidenceDueBy'>,
): Promise<void> {
  await tx.insert(cardDisputes).values(dispute);
}

/** open → won or lost; false when it was decided before. */
export async function closeDispute(tx: Tx, id: string, state: 'won' | 'lost'): Promise<boolean> {
  const rows = await tx
    .update(cardDisputes)
    .set({ state, closedAt: sql`now()` })
    .where(and(eq(cardDisputes.id, id), eq(cardDisputes.state, 'open')))
    .returning({ id: cardDisputes.id });
  return rows.length === 1;
}

export async function listDisputesOf(db: Db, userId: UserId, limit: number): Promise<CardDisputeRow[]> {
  return await db
    .select()
    .from(cardDisputes)
    .where(eq(cardDisputes.userId, userId))
    .orderBy(desc(cardDisputes.createdAt))
    .limit(limit);
}

/** Open disputes that are to be looked at: for the evidence, or because no event came. */
export async function claimDueDisputes(db: Db, limit: number, claimSeconds: number): Promise<string[]> {
  const { rows } = await db.execute<{ id: string }>(sql`
    update card_disputes set not_before = now() + make_interval(secs => ${claimSeconds}) where id in (
      select id from card_disputes where state = 'open' and not_before <= now()
      order by not_before limit ${limit} for update skip locked)
    returning id`);
  return rows.map(({ id }) => id);
}

export async function noteEvidence(db: Db, id: string): Promise<void> {
  await db
    .update(cardDisputes)
    .set({ evidenceSentAt: sql`now()` })
    .where(and(eq(cardDisputes.id, id), isNull(cardDisputes.evidenceSentAt)));
}

export async function postponeDispute(db: Db, id: string, seconds: number): Promise<void> {
  await db
    .update(cardDisputes)
    .set({
      attempts: sql`${cardDisputes.attempts} + 1`,
      notBefore: sql`now() + make_interval(secs => ${seconds})`,
    })
    .where(eq(cardDisputes.id, id));
}

/** What a renter's jobs did, newest first: what the bank is shown. */
export async function findJobRecord(db: Db, userId: UserId, limit: number) {
  const { rows } = await db.execute<{
    id: string;
    image: string;
    state: string;
    submitted_at: string;
    billed_seconds: string;
    cost: string;
    events: string | null;
  }>(sql`
    select j.id, j.image, j.state, to_char(j.created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as submitted_at,
      (select coalesce(round(sum(l.billed_ms) / 1000.0), 0)::text from leases l where l.job_id = j.id) as billed_seconds,
      (select coalesce(sum(l.cost_micros), 0)::text from leases l where l.job_id = j.id) as cost,
      (select string_agg(to_char(e.at at time zone 'UTC', 'MM-DD HH24:MI:SS') || ' ' || e.type || ': ' || e.message, E'\n' order by e.seq)
        from job_events e where e.job_id = j.id) as events
    from jobs j where j.user_id = ${userId} order by j.id desc limit ${limit}`);
  return rows;
}
