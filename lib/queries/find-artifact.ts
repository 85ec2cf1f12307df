import 'server-only';

import type { Db } from '@computefabric/db/client';
import { artifacts } from '@computefabric/db/schema/artifacts';
import { jobs } from '@computefabric/db/schema/jobs';
import { artifactId, jobId } from '@computefabric/protocol/ids';
import { and, eq } from 'drizzle-orm';
import type { Viewer } from '@/types/market-view.ts';

/** One result file of one of the viewer's jobs; null when there is no such file or it is somebody else's. */
export async function findArtifact(db: Db, viewer: Viewer, job: string, artifact: string) {
  const [jobKey, artifactKey] = [jobId.safeParse(job), artifactId.safeParse(artifact)];
  if (!jobKey.success || !artifactKey.success) return null;
  const [row] = await db
    .select({ jobId: jobs.id, id: artifacts.id, path: artifacts.path, sizeBytes: artifacts.sizeBytes })
    .from(artifacts)
    .innerJoin(jobs, eq(jobs.id, artifacts.jobId))
    .where(and(eq(artifacts.id, artifactKey.data), eq(jobs.id, jobKey.data), eq(jobs.userId, viewer.userId)));
  return row ?? null;
}
