import type { Db, Tx } from '@computefabric/db/client';
import { payments } from '@computefabric/db/schema/payments';
import type { PaymentId, TopUpId, UserId } from '@computefabric/protocol/ids';
import { and, asc, eq, inArray, isNotNull, isNull, sql } from 'drizzle-orm';

/** People with settled jobs that no charge pays yet. */
export async function findOwing(db: Db, limit: number): Promise<UserId[]> {
  const rows = await db
    .selectDistinct({ userId: payments.userId })
    .from(payments)
    .where(and(eq(payments.state, 'pending'), isNotNull(payments.settledAt), isNull(payments.topUpId)))
    .orderBy(asc(payments.userId))
    .limit(limit);
  return rows.map(({ userId }) => userId);
}

/** Those payments of one user, locked, with whether each is older than `gatherDays`. */
export async function lockOwed(tx: Tx, userId: UserId, gatherDays: number) {
  return await tx
    .select({
      id: payments.id,
      amountMicros: payments.amountMicros,
      isOld: sql<boolean>`${payments.settledAt} < now() - make_interval(days => ${gatherDays})`,
    })
    .from(payments)
    .where(
      and(
        eq(payments.userId, userId),
        eq(payments.state, 'pending'),
        isNotNull(payments.settledAt),
        isNull(payments.topUpId),
      ),
    )
    .orderBy(asc(payments.id))
    .for('update');
}

/** These payments are paid by this charge; without one they are paid already. */
export async function assignPayments(
  tx: Tx,
  ids: readonly PaymentId[],
  topUpId: TopUpId | null,
): Promise<void> {
  if (ids.length === 0) return;
  await tx
    .update(payments)
    .set(topUpId === null ? { state: 'succeeded' } : { topUpId })
    .where(and(inArray(payments.id, [...ids]), eq(payments.state, 'pending')));
}
