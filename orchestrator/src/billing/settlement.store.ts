import type { Db, Tx } from '@computefabric/db/client';
import { billingAccounts } from '@computefabric/db/schema/billing-accounts';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { providers } from '@computefabric/db/schema/providers';
import type { JobId, PaymentId } from '@computefabric/protocol/ids';
import { and, asc, eq, gt, inArray, isNotNull, isNull, sql } from 'drizzle-orm';
import type { BilledLease } from '../ledger/settle-hold.ts';

const isUnsettled = and(
  eq(payments.state, 'pending'),
  isNull(payments.settledAt),
  isNotNull(jobs.finishedAt),
);

/** Ended jobs that are not settled yet, oldest payment first. */
export async function findUnsettled(db: Db, limit: number): Promise<JobId[]> {
  const rows = await db
    .select({ jobId: payments.jobId })
    .from(payments)
    .innerJoin(jobs, eq(jobs.id, payments.jobId))
    .where(isUnsettled)
    .orderBy(asc(payments.id))
    .limit(limit);
  return rows.map((row) => row.jobId);
}

/** Locks the payments of those of these jobs that have ended and are not settled, nor in another worker's hands. */
export async function lockUnsettled(tx: Tx, jobIds: readonly JobId[]) {
  return await tx
    .select({
      id: payments.id,
      jobId: payments.jobId,
      userId: payments.userId,
      holdMicros: payments.holdMicros,
      apiKeyId: jobs.apiKeyId,
    })
    .from(payments)
    .innerJoin(jobs, eq(jobs.id, payments.jobId))
    .where(and(inArray(payments.jobId, [...jobIds]), isUnsettled))
    .orderBy(asc(payments.id))
    .for('update', { of: payments, skipLocked: true });
}

/** The tries of jobs that cost something, as their bills were frozen when they ended. */
export async function findBilledLeases(
  tx: Tx,
  jobIds: readonly JobId[],
): Promise<(BilledLease & { jobId: JobId })[]> {
  return await tx
    .select({
      jobId: leases.jobId,
      leaseId: leases.id,
      ownerId: providers.ownerId,
      costMicros: leases.costMicros,
      earnedMicros: leases.earnedMicros,
    })
    .from(leases)
    .innerJoin(providers, eq(providers.id, leases.providerId))
    .where(and(inArray(leases.jobId, [...jobIds]), gt(leases.costMicros, 0n)))
    .orderBy(asc(leases.jobId), asc(leases.attempt));
}

/**
 * Notes what jobs have cost; gives how many were not noted before. The payments have succeeded with it, except where
 * cards are charged for each job: there they stay pending until the card was.
 */
export async function completePayments(
  tx: Tx,
  settled: readonly { id: PaymentId; amountMicros: bigint }[],
): Promise<number> {
  const ids = sql.param(settled.map(({ id }) => id));
  const amounts = sql.param(settled.map(({ amountMicros }) => String(amountMicros)));
  const { rowCount } = await tx.execute(sql`
    update payments p set
      state = case when done.amount > 0 and exists (
        select from ${billingAccounts} b where b.user_id = p.user_id and b.mode = 'per_job'
      ) then 'pending' else 'succeeded' end,
      amount_micros = done.amount,
      settled_at = now()
    from unnest(${ids}::text[], ${amounts}::bigint[]) as done (id, amount)
    where p.id = done.id and p.state = 'pending' and p.settled_at is null`);
  return rowCount ?? 0;
}
