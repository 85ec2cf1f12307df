import type { Tx } from '@computefabric/db/client';
import { type EndReason, endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import { invariant } from '@computefabric/runtime/invariant';
import { databaseNow } from '../background/database-now.ts';
import { notifyAll } from '../background/signals.ts';
import { lastSavedAt } from '../checkpoints/checkpoint.store.ts';
import { endJob } from '../jobs/end-job.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { type JobRow, requeueJob } from '../jobs/job.store.ts';
import { billedMs, leftSeconds } from '../metering/usage.ts';
import { recordEnd } from '../providers/reputation.store.ts';
import { affordableMs, costMicros, splitCost } from '../pricing/price.ts';
import { decideNext, pastTriesLooked } from './decide-next.ts';
import { closeLease, countTriesEndedBy, type LeaseEnd, type LeaseRow, pastTries } from './lease.store.ts';
import type { LeaseSettings } from './lease-deps.ts';
import { leftForTry } from './money-cap.store.ts';
import { restMachine } from './rest.store.ts';

interface EndLease {
  /** Both rows locked by the caller, the job first. */
  job: JobRow;
  lease: LeaseRow;
  to: LeaseEnd['to'];
  reason: EndReason;
  detail?: string | null;
  exitCode?: number | null;
}

/** A job with less of its time limit left than this has used it up. */
const leastSecondsOfTry = 1;
const spoiledReasons = endReasonCodes.filter((reason) => endReasonRow(reason).spoils);

/**
 * The one road out of a try. Freezes its bill, which frees its GPUs unless the machine has still to clean up, and
 * gives the job its fate by the end-reason table: final, or back in the queue. All in the caller's
 * transaction. Null when the lease had ended already; nothing has changed.
 */
export async function endLease(tx: Tx, settings: LeaseSettings, end: EndLease): Promise<LeaseRow | null> {
  const { job, lease, reason } = end;
  const now = await databaseNow(tx);
  // Work that a checkpoint has saved is worth something only where the job goes on from it.
  const savedAt = job.leaseId === lease.id ? await lastSavedAt(tx, lease.id) : null;
  const metered = billedMs(reason, { ...lease, now, timeLimitSeconds: leftSeconds(job) }, savedAt);
  // What a try runs beyond its job's own limit is nobody's bill.
  const left = await leftForTry(tx, job, lease.id);
  const payable = left === null ? null : affordableMs(left, lease.pricePerHourMicros);
  const billed = payable === null ? metered : Math.min(metered, payable);
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
  await notifyAll(tx, 'cf_queue', [lease.providerId, job.id]);
  await decideJob(tx, settings, end, { billed, cost, left });
  // Last of the locks: job, lease, machine.
  await recordEnd(tx, lease.providerId, reason);
  if (endReasonRow(reason).restsMachine) await restMachine(tx, lease.providerId, Math.random);
  return closed;
}

/** What becomes of the job whose current try has just ended. */
async function decideJob(
  tx: Tx,
  settings: LeaseSettings,
  { job, lease, reason, detail, exitCode }: EndLease,
  { billed, cost, left }: { billed: number; cost: bigint; left: bigint | null },
) {
  if (job.leaseId !== lease.id) return; // the job has gone on without this try
  const code = exitCode ?? lease.exitCode;
  const next = decideNext(reason, code, job, {
    past: await pastTries(tx, job.id, pastTriesLooked),
    spoiledTries: endReasonRow(reason).spoils ? await countTriesEndedBy(tx, job.id, spoiledReasons) : 0,
    maxAttempts: settings.maxAttempts,
    random: Math.random,
  });
  if (next.kind === 'end') {
    const own = next.reason === reason; // else the machine's words are about something else than the end
    await endJob(tx, {
      jobId: job.id,
      reason: next.reason,
      detail: next.detail ?? (own ? (detail ?? null) : null),
      exitCode: own ? code : null,
      leaseId: lease.id,
    });
    return;
  }
  const { counted, backoffSeconds } = next;
  if (!counted && leftSeconds({ ...job, usedMs: job.usedMs + billed }) < leastSecondsOfTry) {
    await endJob(tx, { jobId: job.id, reason: 'time-limit', leaseId: lease.id });
    return;
  }
  if (left !== null && left <= cost) {
    await endJob(tx, { jobId: job.id, reason: 'funds-exhausted', leaseId: lease.id });
    return;
  }
  const requeued = await requeueJob(tx, job.id, lease.id, {
    backoffSeconds,
    countsFailure: counted,
    spentMs: billed,
    ran: lease.startedAt !== null,
  });
  invariant(requeued, `${job.id} held ${lease.id} and could not be queued again`);
  const { sentence } = endReasonRow(reason);
  await appendJobEvent(tx, {
    jobId: job.id,
    type: counted ? 'retrying' : 'requeued',
    message: counted
      ? `${sentence} It is tried again: retry ${job.userFailures + 1} of ${job.maxRetries}.`
      : `${sentence} The job is queued again.`,
    leaseId: lease.id,
    data: {
      reason,
      ...(code === null ? {} : { exit_code: code }),
      ...(detail ? { detail } : {}),
      backoff_seconds: backoffSeconds,
    },
  });
  if (job.groupId !== null) await notifyAll(tx, 'cf_blocked', [job.groupId]); // other ranks of a gang follow
}
