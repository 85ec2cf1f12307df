import * as api from '@computefabric/protocol/user-api/checkpoints';
import { listCheckpointsOf } from '../../checkpoints/checkpoint.store.ts';
import { viewCheckpoint } from '../../checkpoints/checkpoint-view.ts';
import { readKeptChunk, readKeptManifest } from '../../checkpoints/read-state.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { requireJob } from '../../jobs/require-job.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

export function checkpointRoutes(deps: UserRouteDeps): BoundRoute[] {
  const { db } = deps;
  return [
    route(api.listCheckpoints, async ({ caller: { userId }, params }) => {
      const job = await requireJob(db, userId, params.job);
      const rows = await listCheckpointsOf(db, job.id);
      return { items: rows.map((row) => viewCheckpoint(row, job)) };
    }),

    route(api.getCheckpoint, async ({ caller: { userId }, params }) => {
      const { id: jobId } = await requireJob(db, userId, params.job);
      const { checkpoint: checkpointId } = params;
      const { sha256, text } = await readKeptManifest(deps, { jobId, checkpointId });
      return { checkpoint_id: checkpointId, manifest_sha256: sha256, manifest: text };
    }),

    route(api.downloadChunk, async ({ caller: { userId }, params, response }) => {
      const { id: jobId } = await requireJob(db, userId, params.job);
      const bytes = await readKeptChunk(deps, { jobId, checkpointId: params.checkpoint }, params.sha256);
      response.set({ 'content-type': 'application/octet-stream', 'cache-control': 'no-store' });
      response.end(bytes);
    }),
  ];
}
