import type { Db } from '@computefabric/db/client';
import type { JobId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { settleBudgets } from '../accounts/budget.store.ts';
import { notifyAll } from '../background/signals.ts';
import { amountOf, type BilledLease, settleHolds } from '../ledger/settle-hold.ts';
import { completePayments, findBilledLeases, lockUnsettled } from './settlement.store.ts';

/**
 * Settles ended jobs, any number in one transaction: pays the owners and the market out of their holds, gives the rest
 * back and completes the payments. Exactly once, whoever tries and however often: the payments' rows are locked and
 * their state read under that lock. The bills were frozen when the tries ended; here they are only added.
 *
 * @returns those that were settled; the others were before, have not ended, or are in another worker's hands
 * @throws InvariantError when one of them cannot be settled; then none of them is
 */
export async function settleJobs(db: Db, jobIds: readonly JobId[]): Promise<JobId[]> {
  if (jobIds.length === 0) return [];
  return await db.transaction(async (tx) => {
    const payments = await lockUnsettled(tx, jobIds);
    if (payments.length === 0) return [];
    const ids = payments.map(({ jobId }) => jobId);
    const billed = new Map<JobId, BilledLease[]>(ids.map((id) => [id, []]));
    for (const { jobId, ...lease } of await findBilledLeases(tx, ids)) billed.get(jobId)?.push(lease);
    const jobs = payments.map((payment) => {
      const job = { ...payment, billed: billed.get(payment.jobId) ?? [] };
      return { ...job, amountMicros: amountOf(job) };
    });
    await settleHolds(tx, jobs);
    const completed = await completePayments(tx, jobs);
    invariant(completed === jobs.length, 'payments stayed pending while they were locked');
    await settleBudgets(tx, jobs);
    await notifyAll(tx, 'cf_job', ids); // whoever shows a job shows its payment too
    return ids;
  });
}

/** Settles one ended job; false when there is nothing to do. */
export async function settleJob(db: Db, jobId: JobId): Promise<boolean> {
  return (await settleJobs(db, [jobId])).length === 1;
}
