import * as api from '@computefabric/protocol/user-api/receipts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { requireJob } from '../../jobs/require-job.ts';
import { issueGroupReceipt } from '../../receipts/issue-group-receipt.ts';
import { issueReceipt } from '../../receipts/issue-receipt.ts';
import { listKeys } from '../../receipts/market-key.store.ts';
import { requireGroup } from '../../shapes/require-group.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** Receipts, and the keys that they are checked with. */
export function receiptRoutes({ db, receipts }: UserRouteDeps): BoundRoute[] {
  return [
    route(api.getReceipt, async ({ caller: { userId }, params }) =>
      issueReceipt(receipts, await requireJob(db, userId, params.job)),
    ),

    route(api.getGroupReceipt, async ({ caller: { userId }, params }) =>
      issueGroupReceipt(receipts, await requireGroup(db, userId, params.group)),
    ),

    route(api.listMarketKeys, async () => ({ keys: await listKeys(db) })),
  ];
}
