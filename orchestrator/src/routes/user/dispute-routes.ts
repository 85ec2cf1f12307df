import { disputeId, type UserId } from '@computefabric/protocol/ids';
import * as api from '@computefabric/protocol/user-api/disputes';
import { AppError } from '@computefabric/runtime/errors';
import { findUser } from '../../accounts/user.store.ts';
import { decideDispute } from '../../disputes/decide-dispute.ts';
import { listDisputesOf } from '../../disputes/dispute.store.ts';
import { viewDispute, viewDisputes } from '../../disputes/dispute-view.ts';
import { gatherEvidence, openDispute } from '../../disputes/open-dispute.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { withIdempotency } from '../../http/idempotency.ts';
import { cursorAs, pageFrom } from '../../http/page.ts';
import { requireJob } from '../../jobs/require-job.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** Contested jobs: opened by renters, seen by both sides, decided by rules or the operator. */
export function disputeRoutes(deps: UserRouteDeps): BoundRoute[] {
  const { db } = deps;
  const disputes = { db, objects: deps.objects, windowDays: deps.disputeWindowDays };
  const requireOperator = async (userId: UserId) => {
    const { role } = await findUser(db, userId);
    if (role !== 'operator') throw new AppError('auth/forbidden');
  };

  return [
    route(api.openDispute, async ({ caller: { userId }, params, body, idempotencyKey }) => {
      const job = await requireJob(db, userId, params.job);
      const evidence = await gatherEvidence(disputes, job);
      const request = { job: job.id, ...body };
      return await withIdempotency(
        db,
        { userId, key: idempotencyKey, contract: api.openDispute, request },
        async (tx) => {
          const dispute = await openDispute(tx, disputes, { job, ...body, evidence });
          return await viewDispute(tx, dispute, { as: 'renter' });
        },
      );
    }),

    route(api.listDisputes, async ({ caller: { userId }, query }) => {
      if (query.as === 'operator') await requireOperator(userId);
      const of = { renter: { renter: userId }, owner: { owner: userId }, operator: 'all' as const }[query.as];
      const rows = await listDisputesOf(db, {
        of,
        limit: query.limit + 1,
        before: cursorAs(disputeId, query.cursor),
        state: query.state,
      });
      const page = pageFrom(
        rows,
        query.limit,
        (row) => row.id,
        (row) => row,
      );
      const viewer = query.as === 'owner' ? { as: query.as, ownerId: userId } : { as: query.as };
      return { ...page, items: await viewDisputes(db, page.items, viewer) };
    }),

    route(api.decideDispute, async ({ caller: { userId }, params, body }) => {
      await requireOperator(userId);
      const decided = await decideDispute(db, params.dispute, {
        outcome: body.outcome,
        blame: body.blame,
        explanation: body.explanation,
        by: { operator: userId },
        refundMicros: body.refund_micros === null ? null : BigInt(body.refund_micros),
      });
      return await viewDispute(db, decided, { as: 'operator' });
    }),
  ];
}
