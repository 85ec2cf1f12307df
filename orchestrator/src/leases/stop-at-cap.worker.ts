import type { Db } from '@computefabric/db/client';
import type { JobId, LeaseId } from '@computefabric/protocol/ids';
import { formatUsd } from '@computefabric/protocol/money';
import { databaseNow } from '../background/database-now.ts';
import { notify } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { finishJob, lockJob } from '../jobs/job.store.ts';
import { desireStop, lockLease } from './lease.store.ts';
import type { LeaseDeps } from './lease-deps.ts';
import {
  clearMoneyStop,
  findDueMoneyStops,
  leftForTry,
  msUntilMoneyStop,
  nextMoneyStopMs,
  planMoneyStop,
} from './money-cap.store.ts';

/** Between two looks when none is due sooner: a try that starts meanwhile is told at most this much late. */
const longestSleepMs = 1_000;
const batch = 100;
/** A moment that was planned before a silence, which is not billed, may come this much too early; else it waits. */
const earlyMs = 20;

/** Tells programs to stop whose job's own money is used up but for their grace time, on the database's clock. */
export function startCapWorker(deps: LeaseDeps): Worker {
  return startWorker({
    name: 'stop-at-cap',
    log: deps.log,
    everyMs: longestSleepMs,
    pass: async () => {
      const stopped = await stopAtCap(deps);
      if (stopped === batch) return 0;
      return (await nextMoneyStopMs(deps.db)) ?? undefined;
    },
  });
}

/** One pass; gives how many tries were looked at. */
export async function stopAtCap(deps: Pick<LeaseDeps, 'db'>): Promise<number> {
  const due = await findDueMoneyStops(deps.db, batch);
  for (const { id, jobId } of due) await stopForMoney(deps.db, jobId, id);
  return due.length;
}

async function stopForMoney(db: Db, jobId: JobId, leaseId: LeaseId): Promise<void> {
  await db.transaction(async (tx) => {
    const job = await lockJob(tx, jobId);
    const lease = await lockLease(tx, leaseId);
    if (!job || !lease?.moneyStopAt) return;
    const left = await leftForTry(tx, job, leaseId);
    if (lease.state !== 'active' || lease.desired !== 'run' || lease.exitedAt || left === null) {
      // A silent try is looked at again when it has come back; all others are over.
      if (lease.state !== 'silent') return await clearMoneyStop(tx, leaseId);
      return;
    }
    const now = await databaseNow(tx);
    const ms = msUntilMoneyStop(job, left, lease.pricePerHourMicros, { ...lease, now, timeLimitSeconds: 0 });
    if (ms === null || ms > earlyMs) return await planMoneyStop(tx, job, lease, now);
    await clearMoneyStop(tx, leaseId);
    if (!(await desireStop(tx, leaseId, 'funds-exhausted', job.onCostLimit === 'stop' ? 0 : null))) return;
    await finishJob(tx, jobId, leaseId); // false when it has ended and saves its results
    const how =
      job.onCostLimit === 'stop'
        ? 'It is stopped at once.'
        : `The program was asked to stop and has ${job.stopGraceSeconds} s, which the limit pays for.`;
    await appendJobEvent(tx, {
      jobId,
      type: 'money-limit',
      message: `The job comes near its limit of ${formatUsd(job.maxCostMicros ?? 0n)}. ${how}`,
      leaseId,
      data: { max_cost_micros: String(job.maxCostMicros), on_limit: job.onCostLimit },
    });
    await notify(tx, 'cf_provider', lease.providerId);
  });
}
