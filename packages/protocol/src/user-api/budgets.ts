import { z } from 'zod';
import { timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { budgetAction, budgetPeriod, budgetScope, costLimitAction } from '../cost-limit.ts';
import { apiKeyId, budgetId } from '../ids.ts';
import { microsString, positiveMicrosString } from '../money.ts';
import { jobRef, jobView } from './jobs.ts';

/** A limit on spending, with what is used of it. */
export const budget = z
  .object({
    id: budgetId,
    scope: budgetScope,
    api_key_id: apiKeyId.nullable(),
    period: budgetPeriod,
    amount_micros: microsString,
    on_limit: budgetAction,
    used_micros: microsString.describe('Settled in this period, and what running jobs have cost so far.'),
    reserved_micros: microsString.describe('Reserved for jobs that are not settled.'),
    left_micros: microsString.describe('What new jobs may reserve.'),
    percent: z.number().int().describe('Used, of the amount.'),
    exhausted: z.boolean().describe('Used up: new jobs are refused and queued ones wait.'),
    created_at: timestamp,
  })
  .meta({ id: 'Budget' });
export type Budget = z.infer<typeof budget>;

export const budgetEvent = z
  .object({
    budget_id: budgetId,
    type: z.enum(['warning', 'exhausted', 'freed']),
    percent: z.number().int(),
    used_micros: microsString,
    amount_micros: microsString,
    message: z.string(),
    at: timestamp,
  })
  .meta({ id: 'BudgetEvent' });
export type BudgetEvent = z.infer<typeof budgetEvent>;

const budgetList = z.object({
  items: z.array(budget),
  events: z.array(budgetEvent).describe('What you were told about them, newest first.'),
});

export const listBudgets = defineContract({
  id: 'listBudgets',
  method: 'GET',
  path: '/v1/budgets',
  summary: 'Your budgets, with what is used of them and their warnings',
  audience: 'user',
  reply: budgetList,
  status: 200,
  errors: [],
});

export const setBudget = defineContract({
  id: 'setBudget',
  method: 'PUT',
  path: '/v1/budgets',
  summary: 'Set a budget of your account or of one API key',
  audience: 'user',
  body: z.strictObject({
    api_key_id: apiKeyId.nullable().default(null).describe('null is the whole account.'),
    period: budgetPeriod.default('month'),
    amount_micros: positiveMicrosString,
    on_limit: budgetAction.default('stop-new'),
  }),
  reply: budgetList,
  status: 200,
  errors: ['request/not-found'],
});

export const removeBudget = defineContract({
  id: 'removeBudget',
  method: 'DELETE',
  path: '/v1/budgets/{budget}',
  summary: 'Remove a budget; jobs that it kept waiting are queued',
  audience: 'user',
  params: z.strictObject({ budget: budgetId }),
  status: 204,
  errors: ['budget/not-found'],
});

export const setJobBudget = defineContract({
  id: 'setJobBudget',
  method: 'PUT',
  path: '/v1/jobs/{job}/budget',
  summary: 'Change what a job may cost',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  body: z.strictObject({
    max_cost_micros: positiveMicrosString
      .refine((micros) => micros !== '0', 'must be more than 0')
      .nullable(),
    on_limit: costLimitAction.optional(),
  }),
  reply: jobView,
  status: 200,
  errors: ['job/not-found', 'job/already-final', 'ledger/insufficient-funds', 'budget/exceeded'],
});
