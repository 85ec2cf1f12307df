import { limits } from '@computefabric/protocol/limits';
import * as api from '@computefabric/protocol/provider-api/v1/checkpoints';
import { readStateChunk, readStateManifest } from '../../checkpoints/read-state.ts';
import {
  beginCheckpoint,
  type CheckpointDeps,
  commitCheckpoint,
  findMissingChunks,
  putChunk,
} from '../../checkpoints/save-checkpoint.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { readBytes } from '../../http/read-json.ts';
import type { LeaseClaim } from '../../leases/lease.store.ts';
import type { LeaseCall } from './lease-call.ts';

/** State of jobs: saving it and giving it back. */
export function checkpointRoutes(
  deps: CheckpointDeps,
  claimOf: (call: LeaseCall) => Promise<LeaseClaim>,
): BoundRoute[] {
  return [
    route(api.beginCheckpoint, async (call) => ({
      checkpoint_id: await beginCheckpoint(deps, await claimOf(call)),
    })),

    route(api.missingChunks, async (call) => ({
      missing: await findMissingChunks(deps, await claimOf(call), call.body.sha256),
    })),

    route(api.putChunk, async (call) => {
      const { sha256, size_bytes: sizeBytes } = call.query;
      await putChunk(deps, await claimOf(call), {
        sha256,
        sizeBytes,
        body: call.request,
        signal: call.signal,
      });
      return {};
    }),

    route(api.commitCheckpoint, async (call) => {
      const claim = await claimOf(call);
      return await commitCheckpoint(deps, claim, {
        checkpointId: call.params.checkpoint,
        sha256: call.query.sha256,
        bytes: await readBytes(call.request, limits.checkpointManifestBytes),
        kept: call.query.kept !== undefined,
        signal: call.signal,
      });
    }),

    route(api.readState, async (call) => {
      const state = await readStateManifest(deps, await claimOf(call));
      return { checkpoint_id: state.checkpointId, manifest_sha256: state.sha256, manifest: state.text };
    }),

    route(api.readStateChunk, async (call) => {
      const bytes = await readStateChunk(deps, await claimOf(call), call.params.sha256);
      call.response.set({ 'content-type': 'application/octet-stream', 'cache-control': 'no-store' });
      call.response.end(bytes);
    }),
  ];
}
