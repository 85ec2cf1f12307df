import type { Db, Tx } from '@computefabric/db/client';
import { budgetEvents } from '@computefabric/db/schema/budget-events';
import { budgets } from '@computefabric/db/schema/budgets';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import type { BudgetId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { and, asc, eq, exists, gt, inArray, isNotNull, isNull, not, or, sql } from 'drizzle-orm';
import { beginPeriod, type BudgetRow, thisMonth } from '../accounts/budget.store.ts';

/** Budgets that something can have happened to, a sample when there are many. */
export async function findBudgetsToWatch(db: Db, limit: number): Promise<BudgetId[]> {
  const rows = await db
    .select({ id: budgets.id })
    .from(budgets)
    .where(or(gt(budgets.reservedMicros, 0n), gt(budgets.spentMicros, 0n), isNotNull(budgets.exhaustedAt)))
    .orderBy(sql`random()`)
    .limit(limit);
  return rows.map(({ id }) => id);
}

/** A budget in its present period, locked. */
export async function lockBudget(tx: Tx, id: BudgetId): Promise<BudgetRow | null> {
  const [found] = await tx
    .select({ row: budgets, isOver: sql<boolean>`period = 'month' and period_start < ${thisMonth}` })
    .from(budgets)
    .where(eq(budgets.id, id))
    .for('update');
  if (!found?.isOver) return found?.row ?? null;
  await beginPeriod(tx, [id]);
  return { ...found.row, spentMicros: 0n, warnedPercent: 0, exhaustedAt: null };
}

export async function setExhausted(tx: Tx, id: BudgetId, isExhausted: boolean): Promise<void> {
  const exhaustedAt = isExhausted ? sql`now()` : null;
  await tx.update(budgets).set({ exhaustedAt }).where(eq(budgets.id, id));
}

export async function setWarned(tx: Tx, id: BudgetId, warnedPercent: number): Promise<void> {
  await tx.update(budgets).set({ warnedPercent }).where(eq(budgets.id, id));
}

export async function insertBudgetEvent(tx: Tx, event: typeof budgetEvents.$inferInsert): Promise<void> {
  await tx.insert(budgetEvents).values(event);
}

/** queued → blocked for jobs under a budget, at most `limit`; those that somebody else holds are passed over. */
export async function holdQueued(tx: Tx, budget: BudgetRow, limit: number): Promise<JobId[]> {
  const rows = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(and(ofBudget(budget), eq(jobs.state, 'queued')))
    .orderBy(asc(jobs.id))
    .limit(limit)
    .for('update', { skipLocked: true });
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return [];
  await tx
    .update(jobs)
    .set({ state: 'blocked', budgetHeldAt: sql`now()` })
    .where(and(inArray(jobs.id, ids), eq(jobs.state, 'queued')));
  return ids;
}

/** blocked → queued for jobs that no budget which is used up keeps back any more, at most `limit`. */
export async function freeHeld(tx: Tx, limit: number): Promise<JobId[]> {
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
    .limit(limit)
    .for('update', { of: jobs, skipLocked: true });
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return [];
  await tx
    .update(jobs)
    .set({ state: 'queued', queuedAt: sql`now()`, budgetHeldAt: null })
    .where(and(inArray(jobs.id, ids), eq(jobs.state, 'blocked')));
  return ids;
}

/** Programs under a budget that run and were not told to stop. */
export async function findRunningUnder(
  db: Db,
  budget: BudgetRow,
  limit: number,
): Promise<{ id: LeaseId; jobId: JobId }[]> {
  return await db
    .select({ id: leases.id, jobId: leases.jobId })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(
      and(ofBudget(budget), eq(leases.state, 'active'), eq(leases.desired, 'run'), isNull(leases.exitedAt)),
    )
    .limit(limit);
}

function ofBudget({ userId, apiKeyId }: BudgetRow) {
  return and(eq(jobs.userId, userId), apiKeyId === null ? undefined : eq(jobs.apiKeyId, apiKeyId));
}
