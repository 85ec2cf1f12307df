import { z } from 'zod';

/**
 * What happens to a running program as its job's `max_cost` comes near:
 *
 * - `checkpoint` it is asked to stop early enough that its grace time is paid for, too, and its state is saved
 * - `stop`       it may use all of the money and is then killed; what a checkpoint has saved until then is there
 */
export const costLimitActions = ['checkpoint', 'stop'] as const;
export const costLimitAction = z.enum(costLimitActions).meta({ id: 'CostLimitAction' });
export type CostLimitAction = z.infer<typeof costLimitAction>;

/** Whose spending a budget bounds. */
export const budgetScopes = ['account', 'api-key'] as const;
export const budgetScope = z.enum(budgetScopes);
export type BudgetScope = z.infer<typeof budgetScope>;

/** `month`: a calendar month, UTC. `total`: since the budget was made. */
export const budgetPeriods = ['month', 'total'] as const;
export const budgetPeriod = z.enum(budgetPeriods);
export type BudgetPeriod = z.infer<typeof budgetPeriod>;

/** What happens to running programs when a budget is used up. New jobs are refused and queued ones wait in any case. */
export const budgetActions = ['stop-new', 'also-stop-running'] as const;
export const budgetAction = z.enum(budgetActions);
export type BudgetAction = z.infer<typeof budgetAction>;

/** Per cent of a budget at which its renter is told. */
export const budgetWarnings = [50, 80, 100] as const;
