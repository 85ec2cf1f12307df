import * as api from '@computefabric/protocol/user-api/artifacts';
import { AppError } from '@computefabric/runtime/errors';
import { findArtifactOf, listArtifactsOf } from '../../artifacts/artifact.store.ts';
import { sendArtifact } from '../../artifacts/send-artifact.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { requireJob } from '../../jobs/require-job.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

export function artifactRoutes({ db, objects }: UserRouteDeps): BoundRoute[] {
  return [
    route(api.listArtifacts, async ({ caller: { userId }, params }) => {
      const job = await requireJob(db, userId, params.job);
      const rows = await listArtifactsOf(db, job.id);
      return {
        items: rows.map(({ artifact, attempt }) => ({
          id: artifact.id,
          attempt,
          path: artifact.path,
          size_bytes: artifact.sizeBytes,
          sha256: artifact.sha256,
          created_at: artifact.createdAt.toISOString(),
        })),
      };
    }),

    route(api.downloadArtifact, async ({ caller: { userId }, params, request, response, signal }) => {
      const job = await requireJob(db, userId, params.job);
      const artifact = await findArtifactOf(db, job.id, params.artifact);
      if (!artifact) throw new AppError('artifact/not-found');
      const asked = {
        range: request.get('range'),
        ifNoneMatch: request.get('if-none-match'),
        ifRange: request.get('if-range'),
      };
      await sendArtifact(objects, artifact, asked, response, signal);
    }),
  ];
}
