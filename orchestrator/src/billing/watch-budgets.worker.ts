import type { Db, Tx } from '@computefabric/db/client';
import { budgetWarnings } from '@computefabric/protocol/cost-limit';
import type { BudgetId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { formatUsd } from '@computefabric/protocol/money';
import type { BudgetRow } from '../accounts/budget.store.ts';
import { notify, notifyAll } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { finishJob, lockJob } from '../jobs/job.store.ts';
import { clearMoneyStop } from '../leases/money-cap.store.ts';
import { desireStop, lockLease } from '../leases/lease.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { accruedOf } from './accrued.store.ts';
import {
  findBudgetsToWatch,
  findRunningUnder,
  freeHeld,
  holdQueued,
  insertBudgetEvent,
  lockBudget,
  setExhausted,
  setWarned,
} from './budget-watch.store.ts';
import { accruedUnder, percentOf } from './budgets.store.ts';

const everyMs = 2_000;
/** Budgets looked at in one pass, and jobs held, freed or stopped in one transaction. */
const batch = 200;

/**
 * Follows what is used of budgets: warns at 50, 80 and 100 per cent, once in a period; at the end keeps queued jobs
 * from starting and, where the renter chose so, has running ones stopped; frees them when there is room again.
 */
export function startBudgetWorker(deps: LeaseDeps): Worker {
  return startWorker({
    name: 'watch-budgets',
    log: deps.log,
    everyMs,
    pass: async () => {
      await watchBudgets(deps.db);
      return undefined;
    },
  });
}

/** One pass over the budgets that something can have happened to. */
export async function watchBudgets(db: Db): Promise<void> {
  for (const id of await findBudgetsToWatch(db, batch)) await watchBudget(db, id);
  for (let freed = batch; freed === batch; ) freed = await freeJobs(db);
}

async function watchBudget(db: Db, id: BudgetId): Promise<void> {
  const budget = await db.transaction(async (tx) => {
    const row = await lockBudget(tx, id);
    if (!row) return null;
    const used = row.spentMicros + accruedUnder(row, await accruedOf(tx, row.userId));
    const isExhausted = used >= row.amountMicros;
    await warn(tx, row, used);
    if (isExhausted === (row.exhaustedAt !== null)) return { row, isExhausted };
    await setExhausted(tx, id, isExhausted);
    await tell(tx, row, used, isExhausted ? 'exhausted' : 'freed', isExhausted ? endOf(row) : freedAgain);
    return { row, isExhausted };
  });
  if (!budget?.isExhausted) return;
  for (let held = batch; held === batch; ) held = await holdJobs(db, budget.row);
  if (budget.row.onLimit === 'also-stop-running') await stopRunning(db, budget.row);
}

const freedAgain = 'There is money in it again: what waited for it is queued.';

function endOf({ onLimit }: BudgetRow): string {
  const running =
    onLimit === 'also-stop-running'
      ? 'running jobs are asked to stop'
      : 'running jobs go on within what is reserved for them';
  return `It is used up. New jobs are refused, queued ones wait, ${running}. Raise it to go on.`;
}

/** Tells the highest warning that was passed and not told yet. */
async function warn(tx: Tx, row: BudgetRow, used: bigint): Promise<void> {
  const percent = percentOf(used, row.amountMicros);
  const passed = budgetWarnings.findLast((warning) => percent >= warning);
  if (passed === undefined || passed <= row.warnedPercent) return;
  await setWarned(tx, row.id, passed);
  await tell(tx, row, used, 'warning', `${passed} % of ${formatUsd(row.amountMicros)} are used.`);
}

async function tell(
  tx: Tx,
  row: BudgetRow,
  usedMicros: bigint,
  type: 'warning' | 'exhausted' | 'freed',
  message: string,
): Promise<void> {
  const { id: budgetId, userId, amountMicros } = row;
  const percent = percentOf(usedMicros, amountMicros);
  await insertBudgetEvent(tx, { budgetId, userId, type, percent, usedMicros, amountMicros, message });
}

/** queued → blocked, until the budget has room. Gives how many. */
async function holdJobs(db: Db, budget: BudgetRow): Promise<number> {
  return await db.transaction(async (tx) => {
    const ids = await holdQueued(tx, budget, batch);
    await tellJobs(
      tx,
      ids,
      'budget-wait',
      'A budget is used up: the job waits until it is raised or a new month begins.',
    );
    return ids.length;
  });
}

/** blocked → queued for jobs that no exhausted budget keeps back any more. Gives how many. */
async function freeJobs(db: Db): Promise<number> {
  return await db.transaction(async (tx) => {
    const ids = await freeHeld(tx, batch);
    await tellJobs(tx, ids, 'unblocked', 'The budget has money again: the job waits for a machine.');
    return ids.length;
  });
}

async function tellJobs(tx: Tx, ids: readonly JobId[], type: string, message: string): Promise<void> {
  for (const jobId of ids) await appendJobEvent(tx, { jobId, type, message });
  await notifyAll(tx, 'cf_queue', ids);
}

/** Asks everything that runs under a budget to stop, with each job's grace time. */
async function stopRunning(db: Db, budget: BudgetRow): Promise<void> {
  for (const { id, jobId } of await findRunningUnder(db, budget, batch)) await stopOne(db, jobId, id);
}

async function stopOne(db: Db, jobId: JobId, leaseId: LeaseId): Promise<void> {
  await db.transaction(async (tx) => {
    const job = await lockJob(tx, jobId);
    const lease = await lockLease(tx, leaseId);
    if (!job || !lease || !(await desireStop(tx, leaseId, 'funds-exhausted'))) return;
    await clearMoneyStop(tx, leaseId);
    await finishJob(tx, jobId, leaseId); // false when it has ended and saves its results
    await appendJobEvent(tx, {
      jobId,
      type: 'money-limit',
      message: `A budget is used up: the program was asked to stop and has ${job.stopGraceSeconds} s.`,
      leaseId,
      data: {},
    });
    await notify(tx, 'cf_provider', lease.providerId);
  });
}
