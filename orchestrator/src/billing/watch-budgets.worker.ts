import type { Db, Tx } from '@computefabric/db/client';
import { budgetEvents } from '@computefabric/db/schema/budget-events';
import { budgets } from '@computefabric/db/schema/budgets';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { budgetWarnings } from '@computefabric/protocol/cost-limit';
import type { BudgetId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { formatUsd } from '@computefabric/protocol/money';
import { and, asc, eq, exists, gt, inArray, isNotNull, isNull, not, or, sql } from 'drizzle-orm';
import { beginPeriod, type BudgetRow, thisMonth } from '../accounts/budget.store.ts';
import { notify, notifyAll } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { finishJob, lockJob } from '../jobs/job.store.ts';
import { clearMoneyStop } from '../leases/money-cap.ts';
import { desireStop, lockLease } from '../leases/lease.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { accruedOf } from './accrued.store.ts';
import { accruedUnder, percentOf } from './budgets.ts';

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
  const rows = await db
    .select({ id: budgets.id })
    .from(budgets)
    .where(or(gt(budgets.reservedMicros, 0n), gt(budgets.spentMicros, 0n), isNotNull(budgets.exhaustedAt)))
    .orderBy(sql`random()`)
    .limit(batch);
  for (const { id } of rows) await watchBudget(db, id);
  for (let freed = batch; freed === batch; ) freed = await freeJobs(db);
}

async function watchBudget(db: Db, id: BudgetId): Promise<void> {
  const budget = await db.transaction(async (tx) => {
    const [found] = await tx
      .select({ row: budgets, isOver: sql<boolean>`period = 'month' and period_start < ${thisMonth}` })
      .from(budgets)
      .where(eq(budgets.id, id))
      .for('update');
    if (!found) return null;
    if (found.isOver) await beginPeriod(tx, [id]);
    const row = found.isOver
      ? { ...found.row, spentMicros: 0n, warnedPercent: 0, exhaustedAt: null }
      : found.row;
    const used = row.spentMicros + accruedUnder(row, await accruedOf(tx, row.userId));
    const isExhausted = used >= row.amountMicros;
    await warn(tx, row, used);
    if (isExhausted === (row.exhaustedAt !== null)) return { row, isExhausted };
    await tx
      .update(budgets)
      .set({ exhaustedAt: isExhausted ? sql`now()` : null })
      .where(eq(budgets.id, id));
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
  await tx.update(budgets).set({ warnedPercent: passed }).where(eq(budgets.id, row.id));
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
  await tx
    .insert(budgetEvents)
    .values({ budgetId, userId, type, percent, usedMicros, amountMicros, message });
}

const ofBudget = ({ userId, apiKeyId }: BudgetRow) =>
  and(eq(jobs.userId, userId), apiKeyId === null ? undefined : eq(jobs.apiKeyId, apiKeyId));

/** queued → blocked, until the budget has room. Gives how many. */
async function holdJobs(db: Db, budget: BudgetRow): Promise<number> {
  return await db.transaction(async (tx) => {
    const rows = await tx
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(ofBudget(budget), eq(jobs.state, 'queued')))
      .orderBy(asc(jobs.id))
      .limit(batch)
      .for('update', { skipLocked: true });
    const ids = rows.map(({ id }) => id);
    if (ids.length === 0) return 0;
    await tx
      .update(jobs)
      .set({ state: 'blocked', budgetHeldAt: sql`now()` })
      .where(and(inArray(jobs.id, ids), eq(jobs.state, 'queued')));
    await tellJobs(
      tx,
      ids,
      'budget-wait',
      'A budget is used up: the job waits until it is raised or a new month begins.',
    );
    return rows.length;
  });
}

/** blocked → queued for jobs that no exhausted budget keeps back any more. Gives how many. */
async function freeJobs(db: Db): Promise<number> {
  return await db.transaction(async (tx) => {
    const inTheWay = tx
      .select({ one: sql`1` })
      .from(budgets)
      .where(
        and(
          eq(budgets.userId, jobs.userId),
          isNotNull(budgets.exhaustedAt),
          or(isNull(budgets.apiKeyId), eq(budgets.apiKeyId, jobs.apiKeyId)),
        ),
      );
    const rows = await tx
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(isNotNull(jobs.budgetHeldAt), eq(jobs.state, 'blocked'), not(exists(inTheWay))))
      .orderBy(asc(jobs.id))
      .limit(batch)
      .for('update', { of: jobs, skipLocked: true });
    const ids = rows.map(({ id }) => id);
    if (ids.length === 0) return 0;
    await tx
      .update(jobs)
      .set({ state: 'queued', queuedAt: sql`now()`, budgetHeldAt: null })
      .where(and(inArray(jobs.id, ids), eq(jobs.state, 'blocked')));
    await tellJobs(tx, ids, 'unblocked', 'The budget has money again: the job waits for a machine.');
    return rows.length;
  });
}

async function tellJobs(tx: Tx, ids: readonly JobId[], type: string, message: string): Promise<void> {
  for (const jobId of ids) await appendJobEvent(tx, { jobId, type, message });
  await notifyAll(tx, 'cf_queue', ids);
}

/** Asks everything that runs under a budget to stop, with each job's grace time. */
async function stopRunning(db: Db, budget: BudgetRow): Promise<void> {
  const rows = await db
    .select({ id: leases.id, jobId: leases.jobId })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(
      and(ofBudget(budget), eq(leases.state, 'active'), eq(leases.desired, 'run'), isNull(leases.exitedAt)),
    )
    .limit(batch);
  for (const { id, jobId } of rows) await stopOne(db, jobId, id);
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
