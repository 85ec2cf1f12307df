import type { JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { notify } from '../background/signals.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { finishJob, lockJob } from '../jobs/job.store.ts';
import { findTriesOn, findTriesToMove, moveGraceSeconds } from '../providers/availability.store.ts';
import { endLease } from './end-lease.ts';
import { desireStop, lockLease } from './lease.store.ts';
import type { LeaseDeps } from './lease-deps.ts';

type MoveDeps = Pick<LeaseDeps, 'db' | 'settings'>;

/** Moves what machines still have that are to be empty by now. Gives how many tries were looked at. */
export async function emptyMachines(deps: MoveDeps, limit: number): Promise<number> {
  const tries = await findTriesToMove(deps.db, limit);
  for (const { id, jobId } of tries) await moveTry(deps, jobId, id);
  return tries.length;
}

/** The agent of a machine has said that it takes no more work: what it has moves now. */
export async function emptyMachine(deps: MoveDeps, providerId: ProviderId): Promise<void> {
  for (const { id, jobId } of await findTriesOn(deps.db, providerId)) await moveTry(deps, jobId, id);
}

/**
 * The owner takes the machine back from a job. An offer is withdrawn and the job is queued again at once. A try
 * that the machine has is told to stop: SIGTERM, the job's own grace time or what the owner allows, its last state saved; when the
 * machine reports the end, the job is queued again, free.
 */
async function moveTry({ db, settings }: MoveDeps, jobId: JobId, leaseId: LeaseId): Promise<void> {
  await db.transaction(async (tx) => {
    const job = await lockJob(tx, jobId);
    const lease = await lockLease(tx, leaseId);
    if (!job || !lease || lease.desired === 'stop') return;
    if (lease.state === 'offered') {
      await endLease(tx, settings, { job, lease, to: 'withdrawn', reason: 'provider-left' });
    } else {
      const most = await moveGraceSeconds(tx, lease.providerId);
      const grace = Math.min(job.stopGraceSeconds, most);
      if (!(await desireStop(tx, lease.id, 'drained', grace < job.stopGraceSeconds ? grace : null))) return;
      await finishJob(tx, job.id, lease.id); // false when it has ended and saves its results
      await appendJobEvent(tx, {
        jobId: job.id,
        type: 'moving',
        message: `The owner takes the machine back: the program was asked to stop and has ${grace} s. The job then goes on to another machine.`,
        leaseId: lease.id,
        data: { grace_seconds: grace },
      });
      await notify(tx, 'cf_queue', lease.providerId); // its room is expected sooner
    }
    await notify(tx, 'cf_provider', lease.providerId);
  });
}
