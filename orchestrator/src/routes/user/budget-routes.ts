import * as api from '@computefabric/protocol/user-api/budgets';
import { AppError } from '@computefabric/runtime/errors';
import { removeBudget, setBudget, viewBudgets } from '../../billing/budgets.store.ts';
import { changeJobLimit } from '../../billing/change-job-limit.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { viewJob } from '../../jobs/job-view.ts';
import { requireJob } from '../../jobs/require-job.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** Limits on what a renter spends: of the account, of a key, of a job. */
export function budgetRoutes({ db, view }: UserRouteDeps): BoundRoute[] {
  return [
    route(api.listBudgets, async ({ caller: { userId } }) => await viewBudgets(db, userId)),

    route(api.setBudget, async ({ caller: { userId }, body }) =>
      db.transaction(async (tx) => {
        await setBudget(tx, {
          userId,
          apiKeyId: body.api_key_id,
          period: body.period,
          amountMicros: BigInt(body.amount_micros),
          onLimit: body.on_limit,
        });
        return await viewBudgets(tx, userId);
      }),
    ),

    route(api.removeBudget, async ({ caller: { userId }, params }) => {
      const removed = await db.transaction((tx) => removeBudget(tx, userId, params.budget));
      if (!removed) throw new AppError('budget/not-found');
    }),

    route(api.setJobBudget, async ({ caller: { userId }, params, body }) => {
      const { id: jobId } = await requireJob(db, userId, params.job);
      const maxCostMicros = body.max_cost_micros === null ? null : BigInt(body.max_cost_micros);
      const limit = { maxCostMicros, onLimit: body.on_limit };
      await db.transaction((tx) => changeJobLimit(tx, { userId, jobId, limit }));
      return await viewJob(db, view, await requireJob(db, userId, jobId));
    }),
  ];
}
