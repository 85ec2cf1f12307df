import type { Tx } from '@computefabric/db/client';
import type { JobId, LeaseId } from '@computefabric/protocol/ids';
import { notify } from '../background/signals.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { finishJob, lockJob } from '../jobs/job.store.ts';
import { endLease } from './end-lease.ts';
import { desireStop, findLeaseById, lockLease } from './lease.store.ts';
import type { LeaseSettings } from './lease-deps.ts';

interface Preemption {
  /** A spot try that is offered or active. */
  leaseId: LeaseId;
  /** The on-demand job for which it gives way. */
  by: JobId;
}

/**
 * Asks a spot try to give way. One that was only offered is withdrawn and frees its room at once. One that a
 * machine has is told to stop: its program gets SIGTERM now and SIGKILL after the job's grace time, at most
 * `preemptionNoticeSeconds`; when the machine reports its end the job is queued again, free. Takes the locks job
 * (`by` first, then the victim's) → lease; on-demand jobs are never victims, so two of these cannot wait for
 * each other.
 *
 * @returns `withdrawn`: the room is free now; `stopping`: it will be by `stop_by`; `no`: it is no spot try, is
 *   over, or is stopping already.
 */
export async function preemptLease(
  tx: Tx,
  settings: LeaseSettings,
  { leaseId, by }: Preemption,
): Promise<'withdrawn' | 'stopping' | 'no'> {
  const known = await findLeaseById(tx, leaseId);
  if (!known?.spot) return 'no';
  const winner = await lockJob(tx, by);
  const job = await lockJob(tx, known.jobId);
  const lease = await lockLease(tx, leaseId);
  if (!winner || !job || !lease || job.leaseId !== lease.id) return 'no';
  if (lease.state === 'offered') {
    await endLease(tx, settings, { job, lease, to: 'withdrawn', reason: 'preempted' });
    await notify(tx, 'cf_provider', lease.providerId);
    await tellWinner(tx, by, 'A spot job gave way.');
    return 'withdrawn';
  }
  const noticeSeconds = Math.min(job.stopGraceSeconds, settings.preemptionNoticeSeconds);
  if (!(await desireStop(tx, lease.id, 'preempted', noticeSeconds))) return 'no';
  await finishJob(tx, job.id, lease.id); // false when it has ended and saves its results
  await appendJobEvent(tx, {
    jobId: job.id,
    type: 'preempting',
    message:
      `The spot job gives way to an on-demand job: its program was asked to stop and has ${noticeSeconds} s. ` +
      'It is queued again afterwards; of this try only what a checkpoint has saved is billed.',
    leaseId: lease.id,
    data: { notice_seconds: noticeSeconds },
  });
  await tellWinner(tx, by, `A spot job was asked to give way within ${noticeSeconds} s.`);
  await notify(tx, 'cf_provider', lease.providerId);
  await notify(tx, 'cf_queue', lease.providerId); // when its room is expected has changed
  return 'stopping';
}

/** The renter of the winner learns that a place is made, not whose. */
async function tellWinner(tx: Tx, by: JobId, message: string): Promise<void> {
  await appendJobEvent(tx, { jobId: by, type: 'making-room', message });
}
