import type { Tx } from '@computefabric/db/client';
import { type EndReason, endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import { invariant } from '@computefabric/runtime/invariant';
import { databaseNow } from '../background/database-now.ts';
import { notify } from '../background/signals.ts';
import { endJob } from '../jobs/end-job.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { type JobRow, requeueJob } from '../jobs/job.store.ts';
import { billedMs } from '../metering/usage.ts';
import { costMicros, splitCost } from '../pricing/price.ts';
import { closeLease, countTriesEndedBy, type LeaseEnd, type LeaseRow } from './lease.store.ts';
import type { LeaseSettings } from './lease-deps.ts';

interface EndLease {
  /** Both rows locked by the caller, the job first. */
  job: JobRow;
  lease: LeaseRow;
  to: LeaseEnd['to'];
  reason: EndReason;
  detail?: string | null;
  exitCode?: number | null;
}

/** First back-off after a spoiled try; doubles with each further one. */
const firstBackoffSeconds = 1;
const longestBackoffSeconds = 300;
/** Tries that machines spoiled. */
const requeueReasons = endReasonCodes.filter((reason) => endReasonRow(reason).requeue);

/**
 * The one road out of a try. Freezes its bill, which frees its GPUs unless the machine has still to clean up, and
 * gives the job its fate by the end-reason table: final, or back in the queue. All in the caller's
 * transaction. Null when the lease had ended already; nothing has changed.
 */
export async function endLease(tx: Tx, settings: LeaseSettings, end: EndLease): Promise<LeaseRow | null> {
  const { job, lease, reason } = end;
  const now = await databaseNow(tx);
  const billed = billedMs(reason, { ...lease, now, timeLimitSeconds: job.timeLimitSeconds });
  const cost = costMicros(billed, lease.pricePerHourMicros);
  const closed = await closeLease(tx, lease.id, {
    to: end.to,
    reason,
    detail: end.detail ?? null,
    exitCode: end.exitCode ?? lease.exitCode,
    billedMs: billed,
    costMicros: cost,
    earnedMicros: splitCost(cost, settings.platformFeeBps).earnedMicros,
    releaseSeconds: settings.leaseTtlSeconds,
  });
  if (!closed) return null;
  await notify(tx, 'cf_queue');
  await decideJob(tx, settings, end);
  return closed;
}

/** What becomes of the job whose current try has just ended. */
async function decideJob(
  tx: Tx,
  settings: LeaseSettings,
  { job, lease, reason, detail, exitCode }: EndLease,
) {
  if (job.leaseId !== lease.id) return; // the job has gone on without this try
  const row = endReasonRow(reason);
  if (row.requeue && job.cancelRequestedAt) {
    await endJob(tx, { jobId: job.id, reason: 'cancelled', leaseId: lease.id });
    return;
  }
  if (!row.requeue) {
    await endJob(tx, {
      jobId: job.id,
      reason,
      detail: detail ?? null,
      exitCode: exitCode ?? null,
      leaseId: lease.id,
    });
    return;
  }
  const spoiled = await countTriesEndedBy(tx, job.id, requeueReasons);
  if (spoiled >= settings.maxAttempts) {
    await endJob(tx, {
      jobId: job.id,
      reason,
      detail: `Given up after ${spoiled} tries.`,
      leaseId: lease.id,
    });
    return;
  }
  const backoffSeconds = Math.min(longestBackoffSeconds, firstBackoffSeconds * 2 ** Math.max(0, spoiled - 1));
  const requeued = await requeueJob(tx, job.id, lease.id, backoffSeconds);
  invariant(requeued, `${job.id} held ${lease.id} and could not be queued again`);
  await appendJobEvent(tx, {
    jobId: job.id,
    type: 'requeued',
    message: `${row.sentence} The job is queued again.`,
    leaseId: lease.id,
    data: { reason, ...(detail ? { detail } : {}), backoff_seconds: backoffSeconds },
  });
}
