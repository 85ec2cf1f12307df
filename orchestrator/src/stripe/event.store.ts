import type { Db, Tx } from '@computefabric/db/client';
import { stripeEvents } from '@computefabric/db/schema/stripe-events';
import { and, asc, eq, sql } from 'drizzle-orm';
import type { GatewayEvent } from './stripe-gateway.ts';

export type StripeEventRow = typeof stripeEvents.$inferSelect;

/** Keeps an event; false when it was kept before. */
export async function insertEvent(tx: Tx, event: GatewayEvent): Promise<boolean> {
  const rows = await tx
    .insert(stripeEvents)
    .values(event)
    .onConflictDoNothing({ target: stripeEvents.id })
    .returning({ id: stripeEvents.id });
  return rows.length === 1;
}

/** Events to handle now, oldest first. */
export async function findDueEvents(db: Db, limit: number): Promise<StripeEventRow[]> {
  return await db
    .select()
    .from(stripeEvents)
    .where(and(eq(stripeEvents.state, 'waiting'), sql`${stripeEvents.notBefore} <= now()`))
    .orderBy(asc(stripeEvents.happenedAt), asc(stripeEvents.id))
    .limit(limit);
}

/** waiting → done or ignored; false when it was not waiting. */
export async function finishEvent(db: Db, id: string, state: 'done' | 'ignored'): Promise<boolean> {
  const rows = await db
    .update(stripeEvents)
    .set({ state, doneAt: sql`now()`, failure: null })
    .where(and(eq(stripeEvents.id, id), eq(stripeEvents.state, 'waiting')))
    .returning({ id: stripeEvents.id });
  return rows.length === 1;
}

/** Notes a failed try: later again, or parked after `maxAttempts`. Gives the new state; null when it was not waiting. */
export async function failEvent(
  db: Db,
  id: string,
  { failure, retryMs, maxAttempts }: { failure: string; retryMs: number; maxAttempts: number },
): Promise<StripeEventRow['state'] | null> {
  const [row] = await db
    .update(stripeEvents)
    .set({
      attempts: sql`${stripeEvents.attempts} + 1`,
      failure,
      notBefore: sql`now() + make_interval(secs => ${retryMs / 1_000})`,
      state: sql`case when ${stripeEvents.attempts} + 1 >= ${maxAttempts} then 'parked' else 'waiting' end`,
    })
    .where(and(eq(stripeEvents.id, id), eq(stripeEvents.state, 'waiting')))
    .returning({ state: stripeEvents.state });
  return row?.state ?? null;
}

export async function countEvents(db: Db): Promise<Record<string, number>> {
  const rows = await db
    .select({ state: stripeEvents.state, count: sql<number>`count(*)::int` })
    .from(stripeEvents)
    .groupBy(stripeEvents.state);
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}
