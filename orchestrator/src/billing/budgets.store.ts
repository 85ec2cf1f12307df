import type { Db, Tx } from '@computefabric/db/client';
import { apiKeys } from '@computefabric/db/schema/api-keys';
import { budgetEvents } from '@computefabric/db/schema/budget-events';
import { budgets } from '@computefabric/db/schema/budgets';
import { jobs } from '@computefabric/db/schema/jobs';
import { payments } from '@computefabric/db/schema/payments';
import type { BudgetAction, BudgetPeriod } from '@computefabric/protocol/cost-limit';
import { type ApiKeyId, type BudgetId, newId, type UserId } from '@computefabric/protocol/ids';
import type { Budget, BudgetEvent } from '@computefabric/protocol/user-api/budgets';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { and, asc, desc, eq, isNull, sql } from 'drizzle-orm';
import { type BudgetRow, thisMonth } from '../accounts/budget.store.ts';
import { userAccount } from '../ledger/chart.ts';
import { accruedOf } from './accrued.store.ts';

interface NewBudget {
  userId: UserId;
  /** The budget of this key alone; null for the account. */
  apiKeyId: ApiKeyId | null;
  period: BudgetPeriod;
  amountMicros: bigint;
  onLimit: BudgetAction;
}

/**
 * Sets a budget, or changes the one of the same key and period. What was reserved and spent before counts. The
 * account's held money is locked first, as every submit and settlement does, so that none is missed or counted
 * twice.
 *
 * @throws AppError `request/not-found` for a key of somebody else
 */
export async function setBudget(tx: Tx, wanted: NewBudget): Promise<BudgetId> {
  const { userId, apiKeyId, period, amountMicros, onLimit } = wanted;
  if (apiKeyId !== null) {
    const mine = and(eq(apiKeys.id, apiKeyId), eq(apiKeys.userId, userId), eq(apiKeys.kind, 'user'));
    const [key] = await tx.select({ id: apiKeys.id }).from(apiKeys).where(mine);
    if (!key) throw new AppError('request/not-found', { message: 'You have no such API key.' });
  }
  const held = await userAccount(tx, 'renter_held', userId);
  await tx.execute(sql`select from ledger_accounts where id = ${held} for no key update`);
  const [existing] = await tx
    .update(budgets)
    .set({ amountMicros, onLimit, warnedPercent: 0 })
    .where(
      and(
        eq(budgets.userId, userId),
        eq(budgets.period, period),
        apiKeyId === null ? isNull(budgets.apiKeyId) : eq(budgets.apiKeyId, apiKeyId),
      ),
    )
    .returning({ id: budgets.id });
  if (existing) return existing.id;
  const since = period === 'month' ? thisMonth : sql<Date>`now()`;
  const [before] = await tx
    .select({
      reserved: sql<string>`coalesce(sum(${payments.holdMicros}) filter (where ${payments.settledAt} is null), 0)`,
      spent: sql<string>`coalesce(sum(${payments.amountMicros}) filter (where ${payments.settledAt} >= ${since}), 0)`,
    })
    .from(payments)
    .innerJoin(jobs, eq(jobs.id, payments.jobId))
    .where(and(eq(payments.userId, userId), apiKeyId === null ? undefined : eq(jobs.apiKeyId, apiKeyId)));
  const [made] = await tx
    .insert(budgets)
    .values({
      id: newId('budget'),
      userId,
      scope: apiKeyId === null ? 'account' : 'api-key',
      apiKeyId,
      period,
      amountMicros,
      onLimit,
      reservedMicros: BigInt(before?.reserved ?? 0),
      spentMicros: BigInt(before?.spent ?? 0),
      periodStart: since,
    })
    .returning({ id: budgets.id });
  invariant(made, 'an inserted budget has a row');
  return made.id;
}

/** False when the user has no such budget. What it kept back is queued again by the worker. */
export async function removeBudget(tx: Tx, userId: UserId, id: BudgetId): Promise<boolean> {
  const rows = await tx
    .delete(budgets)
    .where(and(eq(budgets.id, id), eq(budgets.userId, userId)))
    .returning({ id: budgets.id });
  return rows.length === 1;
}

const eventsShown = 50;

/** A user's budgets with what is used of them now, and what they were told lately, newest first. */
export async function viewBudgets(
  db: Db | Tx,
  userId: UserId,
): Promise<{ items: Budget[]; events: BudgetEvent[] }> {
  const rows = await db
    .select({ budget: budgets, isOver: sql<boolean>`period = 'month' and period_start < ${thisMonth}` })
    .from(budgets)
    .where(eq(budgets.userId, userId))
    .orderBy(asc(budgets.id));
  const accrued = await accruedOf(db, userId);
  const events = await db
    .select()
    .from(budgetEvents)
    .where(eq(budgetEvents.userId, userId))
    .orderBy(desc(budgetEvents.id))
    .limit(eventsShown);
  return {
    items: rows.map(({ budget, isOver }) =>
      viewBudget(isOver ? { ...budget, spentMicros: 0n } : budget, accrued),
    ),
    events: events.map((event) => ({
      budget_id: event.budgetId,
      type: event.type,
      percent: event.percent,
      used_micros: String(event.usedMicros),
      amount_micros: String(event.amountMicros),
      message: event.message,
      at: event.at.toISOString(),
    })),
  };
}

function viewBudget(row: BudgetRow, accrued: Awaited<ReturnType<typeof accruedOf>>): Budget {
  const used = row.spentMicros + accruedUnder(row, accrued);
  const left = row.amountMicros - row.spentMicros - row.reservedMicros;
  return {
    id: row.id,
    scope: row.scope,
    api_key_id: row.apiKeyId,
    period: row.period,
    amount_micros: String(row.amountMicros),
    on_limit: row.onLimit,
    used_micros: String(used),
    reserved_micros: String(row.reservedMicros),
    left_micros: String(left > 0n ? left : 0n),
    percent: percentOf(used, row.amountMicros),
    exhausted: row.exhaustedAt !== null,
    created_at: row.createdAt.toISOString(),
  };
}

/** What running jobs under a budget have cost so far and are not settled for, micros. */
export function accruedUnder(
  { apiKeyId }: Pick<BudgetRow, 'apiKeyId'>,
  accrued: readonly { apiKeyId: ApiKeyId | null; micros: bigint }[],
): bigint {
  return accrued
    .filter((row) => apiKeyId === null || row.apiKeyId === apiKeyId)
    .reduce((sum, { micros }) => sum + micros, 0n);
}

/** Per cent, rounded down: 100 only when all of it is used. */
export function percentOf(used: bigint, amount: bigint): number {
  return amount === 0n ? 100 : Number((used * 100n) / amount);
}
