'use server';

import { budgetAction, budgetPeriod, costLimitAction } from '@computefabric/protocol/cost-limit';
import { apiKeyId, budgetId, jobId } from '@computefabric/protocol/ids';
import { revalidatePath } from 'next/cache';
import { z } from 'zod';
import { anyAmount } from '@/lib/amount.ts';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';

export type BudgetResult = { kind: 'done' } | { kind: 'refused'; message: string };

const wish = z.strictObject({
  /** Null is the whole account. */
  apiKeyId: apiKeyId.nullable(),
  period: budgetPeriod,
  amount: z.string().max(40),
  onLimit: budgetAction,
});

/** Makes a budget of the viewer, or changes the one of the same account or key and period. */
export async function setBudget(input: {
  apiKeyId: string | null;
  period: string;
  amount: string;
  onLimit: string;
}): Promise<BudgetResult> {
  const session = await requireSession();
  const parsed = wish.safeParse(input);
  if (!parsed.success) return { kind: 'refused', message: 'There is no such budget.' };
  const amount = anyAmount(parsed.data.amount);
  if ('error' in amount) return { kind: 'refused', message: amount.error };
  try {
    await orchestratorAs(session).budgets.set({
      api_key_id: parsed.data.apiKeyId,
      period: parsed.data.period,
      amount_micros: amount.micros,
      on_limit: parsed.data.onLimit,
    });
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
  revalidatePath('/billing');
  return { kind: 'done' };
}

/** Removes a budget of the viewer; what it kept waiting is queued. */
export async function removeBudget(id: string): Promise<BudgetResult> {
  const session = await requireSession();
  const budget = budgetId.safeParse(id);
  if (!budget.success) return { kind: 'refused', message: 'There is no such budget.' };
  try {
    await orchestratorAs(session).budgets.remove(budget.data);
  } catch (thrown) {
    const failure = failureOf(thrown);
    if (failure.code !== 'budget/not-found') return { kind: 'refused', message: failure.message };
  }
  revalidatePath('/billing');
  return { kind: 'done' };
}

const jobLimit = z.strictObject({ job: jobId, amount: z.string().max(40), onLimit: costLimitAction });

/** Changes what one of the viewer's unfinished jobs may cost; an empty amount takes its own limit away. */
export async function setJobLimit(input: {
  job: string;
  amount: string;
  onLimit: string;
}): Promise<BudgetResult> {
  const session = await requireSession();
  const parsed = jobLimit.safeParse(input);
  if (!parsed.success) return { kind: 'refused', message: 'There is no such job in your account.' };
  const { job, onLimit } = parsed.data;
  const amount = parsed.data.amount.trim() === '' ? null : anyAmount(parsed.data.amount);
  if (amount && 'error' in amount) return { kind: 'refused', message: amount.error };
  try {
    const limit = { max_cost_micros: amount?.micros ?? null, on_limit: onLimit };
    await orchestratorAs(session).budgets.setJob(job, limit);
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
  revalidatePath(`/jobs/${job}`);
  return { kind: 'done' };
}
