import { groupId } from '@computefabric/protocol/ids';
import * as api from '@computefabric/protocol/user-api/groups';
import { AppError } from '@computefabric/runtime/errors';
import { findUser } from '../../accounts/user.store.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { withIdempotency } from '../../http/idempotency.ts';
import { cursorAs, pageFrom } from '../../http/page.ts';
import { cancelGroup } from '../../shapes/cancel-group.ts';
import { listGroupsOf } from '../../shapes/group.store.ts';
import { viewGroup, viewGroups } from '../../shapes/group-view.ts';
import { requireGroup } from '../../shapes/require-group.ts';
import { submitGroup } from '../../shapes/submit-group.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** Arrays, sweeps and gangs. */
export function groupRoutes(deps: UserRouteDeps): BoundRoute[] {
  const { db, view } = deps;
  return [
    route(api.createGroup, async ({ caller: { userId, keyId }, body: group, idempotencyKey }) =>
      withIdempotency(
        db,
        { userId, key: idempotencyKey, contract: api.createGroup, request: group },
        async (tx) => {
          const user = await findUser(tx, userId);
          const defaultMaxPricePerHourMicros =
            user.defaultMaxPricePerHourMicros ?? deps.defaultMaxPricePerHourMicros;
          const row = await submitGroup(tx, { userId, apiKeyId: keyId, group, defaultMaxPricePerHourMicros });
          return await viewGroup(tx, view, row);
        },
      ),
    ),

    route(api.listGroups, async ({ caller: { userId }, query }) => {
      const rows = await listGroupsOf(db, userId, {
        limit: query.limit + 1,
        before: cursorAs(groupId, query.cursor),
      });
      const page = pageFrom(
        rows,
        query.limit,
        (row) => row.id,
        (row) => row,
      );
      return { ...page, items: await viewGroups(db, page.items) };
    }),

    route(api.getGroup, async ({ caller: { userId }, params }) =>
      viewGroup(db, view, await requireGroup(db, userId, params.group)),
    ),

    route(api.cancelGroup, async ({ caller: { userId }, params }) => {
      const { id } = await requireGroup(db, userId, params.group);
      if ((await cancelGroup(db, id)) === 'already-final') throw new AppError('group/already-final');
      return await viewGroup(db, view, await requireGroup(db, userId, id));
    }),
  ];
}
