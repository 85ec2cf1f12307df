import type { Tx } from '@computefabric/db/client';
import { AppError } from '@computefabric/runtime/errors';
import { type JobRow, lockJob } from '../jobs/job.store.ts';
import { findLease, type LeaseClaim, type LeaseRow, lockLease } from './lease.store.ts';
import type { LeaseDeps } from './lease-deps.ts';

/**
 * Runs a machine's report about a lease in one transaction with job and lease locked, in that order.
 *
 * @throws AppError lease/not-found when the lease was never this machine's; lease/stale when the fence is not
 * that of the try. `work` throws `stale()` itself when the state no longer allows the report.
 */
export async function withClaimedLease<T>(
  deps: LeaseDeps,
  call: string,
  claim: LeaseClaim,
  work: (tx: Tx, job: JobRow, lease: LeaseRow) => Promise<T>,
): Promise<T> {
  const known = await findLease(deps.db, claim.leaseId, claim.providerId);
  if (!known) throw new AppError('lease/not-found');
  try {
    return await deps.db.transaction(async (tx) => {
      const job = await lockJob(tx, known.jobId);
      const lease = await lockLease(tx, known.id);
      if (!job || !lease || lease.fence !== claim.fence) throw stale();
      return await work(tx, job, lease);
    });
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'lease/stale') {
      deps.onStaleCall(call);
      deps.log.info(
        { call, lease_id: claim.leaseId, provider_id: claim.providerId, fence: claim.fence },
        'stale call',
      );
    }
    throw thrown;
  }
}

/** An ordinary answer: this try is no longer the machine's to speak for. */
export function stale(): AppError {
  return new AppError('lease/stale');
}
