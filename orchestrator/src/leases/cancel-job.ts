import type { JobId, UserId } from '@computefabric/protocol/ids';
import { jobMachine } from '@computefabric/protocol/job-state';
import { notify } from '../background/signals.ts';
import { endJob } from '../jobs/end-job.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { finishJob, lockJobOf, requestCancel } from '../jobs/job.store.ts';
import { endLease } from './end-lease.ts';
import { desireStop, lockLease } from './lease.store.ts';
import type { LeaseDeps } from './lease-deps.ts';

/**
 * Stops a job for its renter. One that waits, was only offered or whose machine is silent ends at once and costs
 * nothing; one that a machine has is told to stop and ends when the machine says so, or when its lease runs out.
 */
export async function cancelJob(
  deps: Pick<LeaseDeps, 'db' | 'settings'>,
  { userId, jobId }: { userId: UserId; jobId: JobId },
): Promise<'cancelled' | 'cancelling' | 'already-final' | 'not-found'> {
  return await deps.db.transaction(async (tx) => {
    const job = await lockJobOf(tx, userId, jobId);
    if (!job) return 'not-found';
    if (jobMachine.isTerminal(job.state)) return 'already-final';
    const lease = job.leaseId ? await lockLease(tx, job.leaseId) : null;
    if (!lease || lease.state === 'offered' || lease.state === 'silent') {
      await requestCancel(tx, job.id);
      if (lease) {
        const cancelled = { ...job, cancelRequestedAt: new Date() };
        const end =
          lease.state === 'offered'
            ? ({ to: 'withdrawn', reason: 'cancelled' } as const)
            : ({ to: 'lost', reason: 'provider-lost' } as const); // nobody can be told; it hears of it later
        await endLease(tx, deps.settings, { job: cancelled, lease, ...end });
        await notify(tx, 'cf_provider', lease.providerId);
      } else {
        await endJob(tx, { jobId: job.id, reason: 'cancelled' });
      }
      return 'cancelled';
    }
    // It may be stopping already for a move: then the wish alone is news, and it does not move.
    const isToldNow = await desireStop(tx, lease.id, 'cancelled');
    if (isToldNow || job.cancelRequestedAt === null) {
      await requestCancel(tx, job.id);
      await finishJob(tx, job.id, lease.id);
      await appendJobEvent(tx, {
        jobId: job.id,
        type: 'cancelling',
        message: 'You asked to stop the job; the machine is being told.',
        leaseId: lease.id,
      });
      await notify(tx, 'cf_provider', lease.providerId);
    }
    return 'cancelling';
  });
}
