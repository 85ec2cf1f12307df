import type { BoundRoute } from '../../http/define-route.ts';
import { accountRoutes } from './account-routes.ts';
import { artifactRoutes } from './artifact-routes.ts';
import { availabilityRoutes } from './availability-routes.ts';
import { billingRoutes } from './billing-routes.ts';
import { budgetRoutes } from './budget-routes.ts';
import { checkpointRoutes } from './checkpoint-routes.ts';
import { disputeRoutes } from './dispute-routes.ts';
import { earningsRoutes } from './earnings-routes.ts';
import { groupRoutes } from './group-routes.ts';
import { jobRoutes } from './job-routes.ts';
import { logRoutes } from './log-routes.ts';
import { marketRoutes } from './market-routes.ts';
import { operatorRoutes } from './operator-routes.ts';
import { receiptRoutes } from './receipt-routes.ts';
import { scheduleRoutes } from './schedule-routes.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** What people's programs call: the command line, the dashboard, scripts. */
export function userRoutes(deps: UserRouteDeps): BoundRoute[] {
  return [
    jobRoutes,
    groupRoutes,
    scheduleRoutes,
    logRoutes,
    artifactRoutes,
    checkpointRoutes,
    receiptRoutes,
    disputeRoutes,
    marketRoutes,
    availabilityRoutes,
    accountRoutes,
    billingRoutes,
    budgetRoutes,
    earningsRoutes,
    operatorRoutes,
  ].flatMap((routes) => routes(deps));
}
