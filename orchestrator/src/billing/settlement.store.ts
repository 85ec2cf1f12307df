import type { Db, Tx } from '@computefabric/db/client';
import { billingAccounts } from '@computefabric/db/schema/billing-accounts';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { providers } from '@computefabric/db/schema/providers';
import type { JobId, PaymentId } from '@computefabric/protocol/ids';
import { and, asc, eq, gt, isNotNull, isNull, sql } from 'drizzle-orm';
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

/** Locks the payment of an ended, unsettled job; null when there is none or another worker has it. */
export async function lockUnsettled(tx: Tx, jobId: JobId) {
  const [row] = await tx
    .select({
      id: payments.id,
      userId: payments.userId,
      holdMicros: payments.holdMicros,
      apiKeyId: jobs.apiKeyId,
    })
    .from(payments)
    .innerJoin(jobs, eq(jobs.id, payments.jobId))
    .where(and(eq(payments.jobId, jobId), isUnsettled))
    .for('update', { of: payments, skipLocked: true });
  return row ?? null;
}

/** The tries of a job that cost something, as their bills were frozen when they ended. */
export async function findBilledLeases(tx: Tx, jobId: JobId): Promise<BilledLease[]> {
  return await tx
    .select({
      leaseId: leases.id,
      ownerId: providers.ownerId,
      costMicros: leases.costMicros,
      earnedMicros: leases.earnedMicros,
    })
    .from(leases)
    .innerJoin(providers, eq(providers.id, leases.providerId))
    .where(and(eq(leases.jobId, jobId), gt(leases.costMicros, 0n)))
    .orderBy(asc(leases.attempt));
}

/**
 * Notes what a job has cost; false when that was noted before. The payment has succeeded with it, except where
 * cards are charged for each job: there it stays pending until the card was.
 */
export async function completePayment(tx: Tx, id: PaymentId, amountMicros: bigint): Promise<boolean> {
  const isByCard = sql`${amountMicros}::bigint > 0 and exists (
    select from ${billingAccounts} where ${billingAccounts.userId} = ${payments.userId}
      and ${billingAccounts.mode} = 'per_job')`;
  const rows = await tx
    .update(payments)
    .set({
      state: sql`case when ${isByCard} then 'pending' else 'succeeded' end`,
      amountMicros,
      settledAt: sql`now()`,
    })
    .where(and(eq(payments.id, id), eq(payments.state, 'pending'), isNull(payments.settledAt)))
    .returning({ id: payments.id });
  return rows.length === 1;
}
