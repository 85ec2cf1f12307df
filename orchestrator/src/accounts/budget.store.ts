import type { Tx } from '@computefabric/db/client';
import { budgets } from '@computefabric/db/schema/budgets';
import type { ApiKeyId, BudgetId, UserId } from '@computefabric/protocol/ids';
import { formatUsd } from '@computefabric/protocol/money';
import { AppError } from '@computefabric/runtime/errors';
import { and, asc, eq, inArray, isNull, or, type SQL, sql } from 'drizzle-orm';

export type BudgetRow = typeof budgets.$inferSelect;

/** Beginning of the month, UTC, on the database's clock. */
export const thisMonth = sql<Date>`date_trunc('month', now() at time zone 'utc') at time zone 'utc'`;
/** Whether a budget still counts an earlier month. */
const isOver = sql`${budgets.period} = 'month' and ${budgets.periodStart} < ${thisMonth}`;

interface Spender {
  userId: UserId;
  apiKeyId: ApiKeyId | null;
}

/**
 * Adds a hold to every budget that the spender has, or refuses it. The rows are locked until the end of the
 * transaction, in the order of their ids; call it after the hold was placed, as settling does.
 *
 * @throws AppError `budget/exceeded` with the budget that does not allow it and what it has left
 */
export async function chargeBudgets(tx: Tx, spender: Spender, holdMicros: bigint): Promise<void> {
  const rows = await lockBudgets(tx, spender);
  if (rows.length === 0) return;
  for (const row of rows) {
    const left = row.amountMicros - row.spentMicros - row.reservedMicros;
    if (holdMicros <= left && row.exhaustedAt === null) continue;
    const named = row.scope === 'account' ? 'of your account' : 'of this API key';
    const span = row.period === 'month' ? 'monthly budget' : 'budget';
    throw new AppError('budget/exceeded', {
      message: `The ${span} ${named} has ${formatUsd(left > 0n ? left : 0n)} left of ${formatUsd(row.amountMicros)}; ${formatUsd(holdMicros)} would be reserved.`,
      details: {
        budget: row.id,
        left_micros: String(left > 0n ? left : 0n),
        needed_micros: String(holdMicros),
      },
    });
  }
  await tx
    .update(budgets)
    .set({ reservedMicros: sql`${budgets.reservedMicros} + ${holdMicros}` })
    .where(inArray(budgets.id, ids(rows)));
}

/** A settled job, as budgets count it. */
export interface SpentJob extends Spender {
  holdMicros: bigint;
  amountMicros: bigint;
}

/** Counts settled jobs: what was reserved for them no more, what they have cost from now on. */
export async function settleBudgets(tx: Tx, spent: readonly SpentJob[]): Promise<void> {
  const users = [...new Set(spent.map(({ userId }) => userId))];
  const rows = await lockRows(tx, inArray(budgets.userId, users));
  const changes = rows.flatMap(({ id, userId, apiKeyId }) => {
    const counted = spent.filter(
      (job) => job.userId === userId && (apiKeyId === null || job.apiKeyId === apiKeyId),
    );
    const sum = (of: (job: SpentJob) => bigint) => String(counted.reduce((all, job) => all + of(job), 0n));
    if (counted.length === 0) return [];
    return [{ id, hold: sum((job) => job.holdMicros), amount: sum((job) => job.amountMicros) }];
  });
  if (changes.length === 0) return;
  const column = (of: (change: (typeof changes)[number]) => string) => sql.param(changes.map(of));
  await tx.execute(sql`
    update budgets b set
      reserved_micros = greatest(b.reserved_micros - done.hold, 0),
      spent_micros = b.spent_micros + done.amount
    from unnest(${column(({ id }) => id)}::text[], ${column(({ hold }) => hold)}::bigint[],
      ${column(({ amount }) => amount)}::bigint[]) as done (id, hold, amount)
    where b.id = done.id`);
}

/** The budgets that count what the spender spends, locked, each in its present period. */
async function lockBudgets(tx: Tx, { userId, apiKeyId }: Spender): Promise<BudgetRow[]> {
  const ofKey =
    apiKeyId === null
      ? isNull(budgets.apiKeyId)
      : or(isNull(budgets.apiKeyId), eq(budgets.apiKeyId, apiKeyId));
  return await lockRows(tx, and(eq(budgets.userId, userId), ofKey));
}

async function lockRows(tx: Tx, where: SQL | undefined): Promise<BudgetRow[]> {
  const rows = await tx
    .select({ budget: budgets, isOver: sql<boolean>`${isOver}` })
    .from(budgets)
    .where(where)
    .orderBy(asc(budgets.id))
    .for('update');
  const over = rows.filter((row) => row.isOver).map(({ budget }) => budget.id);
  await beginPeriod(tx, over);
  return rows.map((row) =>
    row.isOver ? { ...row.budget, spentMicros: 0n, warnedPercent: 0, exhaustedAt: null } : row.budget,
  );
}

/** A new month: nothing of it is spent. What is reserved counts for the month in which it is settled. */
export async function beginPeriod(tx: Tx, over: readonly BudgetId[]): Promise<void> {
  if (over.length === 0) return;
  await tx
    .update(budgets)
    .set({ spentMicros: 0n, periodStart: thisMonth, warnedPercent: 0, exhaustedAt: null })
    .where(and(inArray(budgets.id, [...over]), isOver));
}

function ids(rows: readonly BudgetRow[]): BudgetId[] {
  return rows.map(({ id }) => id);
}
