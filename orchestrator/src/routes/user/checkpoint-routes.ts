import * as api from '@computefabric/protocol/user-api/checkpoints';
import { listCheckpointsOf } from '../../checkpoints/checkpoint.store.ts';
import { viewCheckpoint } from '../../checkpoints/checkpoint-view.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { requireJob } from '../../jobs/require-job.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

export function checkpointRoutes({ db }: UserRouteDeps): BoundRoute[] {
  return [
    route(api.listCheckpoints, async ({ caller: { userId }, params }) => {
      const job = await requireJob(db, userId, params.job);
      const rows = await listCheckpointsOf(db, job.id);
      return { items: rows.map((row) => viewCheckpoint(row, job)) };
    }),
  ];
}
