import type { Tx } from '@computefabric/db/client';
import type { CostLimitAction } from '@computefabric/protocol/cost-limit';
import type { JobId, UserId } from '@computefabric/protocol/ids';
import { jobMachine } from '@computefabric/protocol/job-state';
import { formatUsd } from '@computefabric/protocol/money';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { chargeBudgets } from '../accounts/budget.store.ts';
import { databaseNow } from '../background/database-now.ts';
import { leaseBill } from '../jobs/job-cost.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { type JobRow, lockJob } from '../jobs/job.store.ts';
import { lockLease } from '../leases/lease.store.ts';
import { leftForTry, planMoneyStop } from '../leases/money-cap.store.ts';
import { userAccount } from '../ledger/chart.ts';
import { postTransfers } from '../ledger/post-transfers.ts';
import { growHold, setLimit } from './job-limit.store.ts';
import { holdMicros, wholeRateMicros } from '../pricing/price.ts';

interface JobLimit {
  /** Null: as much as prices and time allow. */
  maxCostMicros: bigint | null;
  onLimit?: CostLimitAction | undefined;
}

/**
 * Changes what a job that has not ended may cost. Raised, more is reserved, out of the balance and out of every
 * budget; lowered, what is reserved stays so until the job is settled. A running program goes on, or is told to
 * stop, by the new limit.
 *
 * @throws AppError `job/not-found`, `job/already-final` (also when it is being stopped), `request/invalid` for less
 *   than it has cost, `ledger/insufficient-funds` or `budget/exceeded`
 */
export async function changeJobLimit(
  tx: Tx,
  { userId, jobId, limit }: { userId: UserId; jobId: JobId; limit: JobLimit },
): Promise<void> {
  const job = await lockJob(tx, jobId);
  if (job?.userId !== userId) throw new AppError('job/not-found');
  if (jobMachine.isTerminal(job.state)) throw new AppError('job/already-final');
  const lease = job.leaseId === null ? null : await lockLease(tx, job.leaseId);
  if (lease?.stopReason === 'funds-exhausted') {
    const message =
      'The job has reached its limit and is being stopped. When it has ended, resume it with a higher one.';
    throw new AppError('job/already-final', { message });
  }
  const changed = {
    ...job,
    maxCostMicros: limit.maxCostMicros,
    onCostLimit: limit.onLimit ?? job.onCostLimit,
    holdMicros: holdUnder(job, limit.maxCostMicros),
  };
  const now = await databaseNow(tx);
  if (lease && limit.maxCostMicros !== null) {
    const left = await leftForTry(tx, changed, lease.id);
    refuseLess(left !== null && left < leaseBill(lease, job, now).costMicros, limit.maxCostMicros);
  }
  await setLimit(tx, changed);
  await addToHold(tx, job, changed.holdMicros - job.holdMicros);
  if (lease?.startedAt) await planMoneyStop(tx, changed, lease, now);
  const what =
    limit.maxCostMicros === null
      ? 'has no limit of its own any more'
      : `may cost ${formatUsd(limit.maxCostMicros)}`;
  await appendJobEvent(tx, {
    jobId,
    type: 'money-limit-changed',
    message: `The job ${what}. At most ${formatUsd(changed.holdMicros)} is reserved.`,
    data: {
      max_cost_micros: limit.maxCostMicros === null ? null : String(limit.maxCostMicros),
      on_limit: changed.onCostLimit,
      hold_micros: String(changed.holdMicros),
    },
  });
}

/** What must be reserved under a limit: never less than is reserved already. */
function holdUnder(job: JobRow, maxCostMicros: bigint | null): bigint {
  const seconds = job.timeLimitSeconds * (1 + job.maxRetries);
  const most = holdMicros(wholeRateMicros(job, job.maxPricePerHourMicros), seconds);
  const wanted = maxCostMicros !== null && maxCostMicros < most ? maxCostMicros : most;
  const isMore = wanted > job.holdMicros;
  return isMore ? wanted : job.holdMicros;
}

function refuseLess(isLess: boolean, maxCostMicros: bigint): void {
  if (!isLess) return;
  const message = `must be more than the job has cost already, and ${formatUsd(maxCostMicros)} is less`;
  throw new AppError('request/invalid', {
    message: `max_cost_micros: ${message}.`,
    fields: [{ path: 'max_cost_micros', message }],
  });
}

async function addToHold(tx: Tx, job: JobRow, moreMicros: bigint): Promise<void> {
  if (moreMicros === 0n) return;
  const grown = await growHold(tx, job.id, moreMicros);
  invariant(grown, `${job.id} has not ended, so its payment is not settled`);
  await postTransfers(tx, [
    {
      // By what is reserved in all, which only grows: the same change again is the same cause.
      id: `hold:${job.id}:${job.holdMicros + moreMicros}`,
      kind: 'hold',
      from: await userAccount(tx, 'renter_available', job.userId),
      to: await userAccount(tx, 'renter_held', job.userId),
      amountMicros: moreMicros,
      jobId: job.id,
    },
  ]);
  await chargeBudgets(tx, job, moreMicros);
}
