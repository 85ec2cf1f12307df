import type { UserId } from '@computefabric/protocol/ids';
import * as operatorApi from '@computefabric/protocol/user-api/operator';
import { AppError } from '@computefabric/runtime/errors';
import { findUser } from '../../accounts/user.store.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { viewAudit } from '../../ledger/audit-books.ts';
import { setTier } from '../../providers/tier.store.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** Reading all of the ledger for every question would be a way to stop the market. */
const freshMs = 5_000;

/** What the operator of the market alone may do. */
export function operatorRoutes({ db, auditor }: UserRouteDeps): BoundRoute[] {
  /** Before anything is looked up: nobody else learns which machines there are. */
  const requireOperator = async (userId: UserId) => {
    const { role } = await findUser(db, userId);
    if (role !== 'operator') throw new AppError('auth/forbidden');
  };

  return [
    route(operatorApi.setMachineTier, async ({ caller: { userId }, params, body }) => {
      await requireOperator(userId);
      const machine = await setTier(db, params.provider, body.tier);
      if (!machine) throw new AppError('provider/not-found');
      return machine;
    }),
    route(operatorApi.auditLedger, async ({ caller: { userId } }) => {
      await requireOperator(userId);
      return viewAudit(await auditor.audit(freshMs));
    }),
  ];
}
