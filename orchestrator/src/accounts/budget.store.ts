import type { Tx } from '@computefabric/db/client';
import { budgets } from '@computefabric/db/schema/budgets';
import type { ApiKeyId, BudgetId, UserId } from '@computefabric/protocol/ids';
import { formatUsd } from '@computefabric/protocol/money';
import { AppError } from '@computefabric/runtime/errors';
import { and, asc, eq, inArray, isNull, or, sql } from 'drizzle-orm';

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

/** Counts a settled job: what was reserved for it no more, what it has cost from now on. */
export async function settleBudgets(
  tx: Tx,
  spender: Spender,
  { holdMicros, amountMicros }: { holdMicros: bigint; amountMicros: bigint },
): Promise<void> {
  const rows = await lockBudgets(tx, spender);
  if (rows.length === 0) return;
  await tx
    .update(budgets)
    .set({
      reservedMicros: sql`greatest(${budgets.reservedMicros} - ${holdMicros}, 0)`,
      spentMicros: sql`${budgets.spentMicros} + ${amountMicros}`,
    })
    .where(inArray(budgets.id, ids(rows)));
}

/** The budgets that count what the spender spends, locked, each in its present period. */
async function lockBudgets(tx: Tx, { userId, apiKeyId }: Spender): Promise<BudgetRow[]> {
  const rows = await tx
    .select({ budget: budgets, isOver: sql<boolean>`${isOver}` })
    .from(budgets)
    .where(
      and(
        eq(budgets.userId, userId),
        apiKeyId === null
          ? isNull(budgets.apiKeyId)
          : or(isNull(budgets.apiKeyId), eq(budgets.apiKeyId, apiKeyId)),
      ),
    )
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
