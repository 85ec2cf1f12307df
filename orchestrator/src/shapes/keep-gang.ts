import type { GroupId, JobId } from '@computefabric/protocol/ids';
import { jobMachine } from '@computefabric/protocol/job-state';
import { notify } from '../background/signals.ts';
import { endJob } from '../jobs/end-job.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { lockJob } from '../jobs/job.store.ts';
import { endLease } from '../leases/end-lease.ts';
import { desireStop, lockLease } from '../leases/lease.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { gangStep } from './gang.ts';
import { listRanks } from './group.store.ts';

/**
 * Brings the ranks of a gang to one fate: when one was lost the others stop too and all wait together; when one
 * ended without success the others end. What is decided on an old view stays right: a gang starts again only when
 * all of its ranks wait, so a try that is to be stopped is the same try until it ends.
 */
export async function keepGangTogether(
  deps: Pick<LeaseDeps, 'db' | 'settings'>,
  groupId: GroupId,
): Promise<void> {
  const ranks = await listRanks(deps.db, groupId);
  const step = gangStep(ranks.map(({ state }) => state));
  if (step === 'none') return;
  for (const rank of ranks) {
    if (jobMachine.isTerminal(rank.state)) continue;
    await stopRank(deps, rank.id, step === 'end' ? 'peer-ended' : 'peer-lost');
  }
}

async function stopRank(
  deps: Pick<LeaseDeps, 'db' | 'settings'>,
  jobId: JobId,
  reason: 'peer-lost' | 'peer-ended',
): Promise<void> {
  await deps.db.transaction(async (tx) => {
    const job = await lockJob(tx, jobId);
    if (!job || jobMachine.isTerminal(job.state)) return;
    const lease = job.leaseId ? await lockLease(tx, job.leaseId) : null;
    if (!lease) {
      if (reason === 'peer-ended') await endJob(tx, { jobId, reason });
      return; // it waits already
    }
    if (lease.state === 'offered') {
      await endLease(tx, deps.settings, { job, lease, to: 'withdrawn', reason });
      await notify(tx, 'cf_provider', lease.providerId);
      return;
    }
    if (lease.state === 'silent') {
      await endLease(tx, deps.settings, { job, lease, to: 'lost', reason });
      return;
    }
    if (!(await desireStop(tx, lease.id, reason))) return; // told already
    await appendJobEvent(tx, {
      jobId,
      type: 'stopping-gang',
      message:
        reason === 'peer-ended'
          ? 'Another rank ended without success: this one is being stopped.'
          : 'Another rank was lost: this one is stopped, and all start again together.',
      leaseId: lease.id,
    });
    await notify(tx, 'cf_provider', lease.providerId);
  });
}
