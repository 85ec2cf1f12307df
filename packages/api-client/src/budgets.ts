import type { BudgetId } from '@computefabric/protocol/ids';
import * as contracts from '@computefabric/protocol/user-api/budgets';
import type { z } from 'zod';
import type { CallOptions, Transport } from './transport.ts';

type Body<C extends { body?: z.ZodType }> = z.input<NonNullable<C['body']>>;

/** Limits on what you spend. */
export function budgetCalls(transport: Transport) {
  return {
    /** All of them, with what is used and what you were told. */
    list: (options: CallOptions = {}) => transport.call(contracts.listBudgets, options),
    /** Makes or changes the budget of the account, or of one key, for a period. */
    set: (budget: Body<typeof contracts.setBudget>, options: CallOptions = {}) =>
      transport.call(contracts.setBudget, { body: budget, ...options }),
    remove: (budget: BudgetId, options: CallOptions = {}) =>
      transport.call(contracts.removeBudget, { params: { budget }, ...options }),
    /** What one job may cost. */
    setJob: (job: string, limit: Body<typeof contracts.setJobBudget>, options: CallOptions = {}) =>
      transport.call(contracts.setJobBudget, { params: { job }, body: limit, ...options }),
  };
}
