import type { Tx } from '@computefabric/db/client';
import type { CostLimitAction } from '@computefabric/protocol/cost-limit';
import { endReasonRow } from '@computefabric/protocol/end-reason';
import { type ApiKeyId, type JobId, newId, type UserId } from '@computefabric/protocol/ids';
import { CURRENCY, formatUsd, lesserOf } from '@computefabric/protocol/money';
import { AppError } from '@computefabric/runtime/errors';
import { chargeBudgets } from '../accounts/budget.store.ts';
import { copyCheckpoint } from '../checkpoints/copy-checkpoint.store.ts';
import { groupsById } from '../jobs/group-reads.store.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { insertJob, insertSubmitted, listLeasesOf } from '../jobs/job-reads.store.ts';
import { type JobRow, lockJobOf } from '../jobs/job.store.ts';
import { findSuccessor, setFirstCheckpoint, spentOfChain } from '../jobs/resumed-jobs.store.ts';
import { placeHold } from '../ledger/place-hold.ts';
import { leftSeconds } from '../metering/usage.ts';
import { holdMicros, wholeRateMicros } from '../pricing/price.ts';
import { memberVariables } from '../shapes/member-variables.ts';

interface ResumeJob {
  userId: UserId;
  apiKeyId: ApiKeyId | null;
  jobId: JobId;
  limit: {
    /** Of all in all, what it has cost already included; null is none, undefined says nothing. */
    maxCostMicros?: bigint | null | undefined;
    onLimit?: CostLimitAction | undefined;
  };
}

/** A job with less of its time limit left than this has nothing to go on with. */
const leastSeconds = 1;

/**
 * Lets a job that money has stopped go on: a new job with the same terms, what is left of the time limit, a hold of
 * its own and the saved state of the old one. The old one stays as it ended, was billed and has its receipt. Once for
 * each job, whoever asks and how often: another call finds the new one.
 *
 * @throws AppError `job/not-found`, `job/not-resumable`, `job/already-resumed`, `request/invalid` for a limit that is
 *   none or not above what was spent, `ledger/insufficient-funds`, `budget/exceeded`
 */
export async function resumeJob(tx: Tx, { userId, apiKeyId, jobId, limit }: ResumeJob): Promise<JobRow> {
  const old = await lockJobOf(tx, userId, jobId);
  if (!old) throw new AppError('job/not-found');
  const successor = await findSuccessor(tx, jobId);
  if (successor) {
    throw new AppError('job/already-resumed', {
      message: `${successor.name} goes on from this job already. What it may cost: cfab budget job ${successor.name}.`,
      details: { job_id: successor.id },
    });
  }
  refuseOthers(old);
  const spent = await spentOfChain(tx, jobId);
  const rest = restOfLimit(old, limit.maxCostMicros, spent);
  const usedMs = await usedOf(tx, old);
  const seconds = leftSeconds({ ...old, usedMs });
  if (seconds < leastSeconds) {
    throw new AppError('job/not-resumable', { message: 'The job has used up its time limit, too.' });
  }
  const most = mostOf(old, seconds);
  const next = await insertNext(tx, old, {
    apiKeyId,
    maxCostMicros: rest,
    onCostLimit: limit.onLimit ?? old.onCostLimit,
    holdMicros: rest === null ? most : lesserOf(rest, most),
    usedMs,
  });
  const saved = old.checkpointId === null ? null : await copyCheckpoint(tx, old.checkpointId, next.id);
  if (saved) await setFirstCheckpoint(tx, next.id, saved.id);
  await placeHold(tx, { jobId: next.id, userId, amountMicros: next.holdMicros });
  await chargeBudgets(tx, { userId, apiKeyId }, next.holdMicros);
  const begins = saved
    ? `begins with its state of ${saved.takenAt.toISOString()}`
    : 'begins anew: no saved state of it is there';
  await insertSubmitted(tx, next, {
    payment: { id: newId('payment'), currency: CURRENCY },
    message: `Goes on from ${old.name} and ${begins}. At most ${formatUsd(next.holdMicros)} is reserved.`,
    data: { resumes: old.id, hold_micros: String(next.holdMicros) },
    signal: 'cf_queue',
  });
  await appendJobEvent(tx, {
    jobId: old.id,
    type: 'resumed',
    message: `${next.name} goes on from this job.`,
    data: { resumed_by: next.id },
  });
  return next;
}

function refuseOthers(old: JobRow): void {
  if (old.endReason === null) {
    const message = `The job has not ended. What it may cost: cfab budget job ${old.name}.`;
    throw new AppError('job/not-resumable', { message });
  }
  if (old.endReason !== 'funds-exhausted') throw new AppError('job/not-resumable');
}

/** What the new job may cost, micros; null for as much as prices and time allow. */
function restOfLimit(old: JobRow, wanted: bigint | null | undefined, spent: bigint): bigint | null {
  if (wanted === null || (wanted === undefined && old.maxCostMicros === null)) return null;
  if (wanted !== undefined && wanted > spent) return wanted - spent;
  const message =
    wanted === undefined
      ? 'is needed, because the job had a limit of its own'
      : `must be more than the ${formatUsd(spent)} that the job has cost already`;
  throw new AppError('request/invalid', {
    message: `max_cost_micros ${message}.`,
    fields: [{ path: 'max_cost_micros', message }],
  });
}

/** Of its time limit, what its billed tries have used since the program last failed by itself, ms. */
async function usedOf(tx: Tx, old: JobRow): Promise<number> {
  const last = (await listLeasesOf(tx, [old.id])).at(-1)?.lease;
  if (!last?.endReason) return old.usedMs;
  // After a failure of the program the next try has the whole time limit again.
  return endReasonRow(last.endReason).retryable ? 0 : old.usedMs + last.billedMs;
}

/** The most that the rest can cost: what is left of this try's time, and all of it for each retry that is left. */
function mostOf(old: JobRow, seconds: number): bigint {
  const rate = wholeRateMicros(old, old.maxPricePerHourMicros);
  const retries = Math.max(old.maxRetries - old.userFailures, 0);
  return holdMicros(rate, Math.ceil(seconds) + retries * old.timeLimitSeconds);
}

const nameTries = 100;

/** The same job under the next free name: `train` goes on as `train-r2`, that as `train-r3`. */
async function insertNext(
  tx: Tx,
  old: JobRow,
  changed: Pick<JobRow, 'apiKeyId' | 'maxCostMicros' | 'onCostLimit' | 'holdMicros' | 'usedMs'>,
): Promise<JobRow> {
  const { env, stem, number } = await identityOf(tx, old);
  for (let more = 1; more <= nameTries; more += 1) {
    const inserted = await insertJob(tx, {
      ...termsOf(old),
      ...changed,
      env,
      id: newId('job'),
      name: `${stem}-r${number + more}`,
      resumesId: old.id,
      state: 'queued',
      eventSeq: 1, // that it was submitted, written with its payment
    });
    if (inserted) return inserted;
  }
  throw new AppError('server/busy', { internal: `no free name after ${stem} in ${nameTries} tries` });
}

const longestStem = 50;

/** A member of an array goes on alone; what it was told of its place becomes variables of its own. */
async function identityOf(tx: Tx, old: JobRow) {
  const group =
    old.groupId === null ? null : ((await groupsById(tx, [old.groupId])).get(old.groupId) ?? null);
  if (group?.kind === 'gang') {
    const message = 'A machine of a gang cannot go on without the others. Submit the gang again.';
    throw new AppError('job/not-resumable', { message });
  }
  const [, before = old.name, count] = /^(.*)-r(\d{1,4})$/.exec(old.name) ?? [];
  const stem = before
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, longestStem)
    .replace(/-+$/, '');
  return {
    env: { ...old.env, ...memberVariables(old, group, []) },
    stem: stem || 'job',
    number: count === undefined ? 1 : Number(count),
  };
}

/** What the renter asked for, which the new job asks for in the same words. */
function termsOf(old: JobRow) {
  const {
    id: _id,
    name: _name,
    env: _env,
    state: _state,
    groupId: _group,
    groupIndex: _index,
    groupVars: _vars,
    scheduleId: _schedule,
    checkpointId: _checkpoint,
    budgetHeldAt: _held,
    attempts: _attempts,
    leaseId: _lease,
    cancelRequestedAt: _cancel,
    endReason: _reason,
    endDetail: _detail,
    exitCode: _code,
    eventSeq: _events,
    createdAt: _created,
    queuedAt: _queued,
    notBefore: _notBefore,
    startedAt: _started,
    finishedAt: _finished,
    ...terms
  } = old;
  return terms;
}
