import type { Db, Tx } from '@computefabric/db/client';
import { artifacts } from '@computefabric/db/schema/artifacts';
import { leases } from '@computefabric/db/schema/leases';
import type { ArtifactId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { and, asc, eq, ne, sql } from 'drizzle-orm';

export type ArtifactRow = typeof artifacts.$inferSelect;

/** Files of a try beside the one at `path`: their number and bytes. */
export async function usageBeside(db: Db | Tx, leaseId: LeaseId, path: string) {
  const [row] = await db
    .select({
      files: sql<number>`count(*)::int`,
      bytes: sql<string>`coalesce(sum(${artifacts.sizeBytes}), 0)`.mapWith(Number),
    })
    .from(artifacts)
    .where(and(eq(artifacts.leaseId, leaseId), ne(artifacts.path, path)));
  return row ?? { files: 0, bytes: 0 };
}

/** Writes a file of a try; one that was sent before at the same path is replaced. */
export async function upsertArtifact(tx: Tx, row: typeof artifacts.$inferInsert): Promise<void> {
  const { sizeBytes, sha256, blobKey } = row;
  await tx
    .insert(artifacts)
    .values(row)
    .onConflictDoUpdate({ target: [artifacts.leaseId, artifacts.path], set: { sizeBytes, sha256, blobKey } });
}

const withAttempt = { artifact: artifacts, attempt: leases.attempt };

/** Files of a job, by try and path. */
export async function listArtifactsOf(db: Db, jobId: JobId) {
  return await db
    .select(withAttempt)
    .from(artifacts)
    .innerJoin(leases, eq(leases.id, artifacts.leaseId))
    .where(eq(artifacts.jobId, jobId))
    .orderBy(asc(leases.attempt), asc(artifacts.path));
}

export async function findArtifactOf(db: Db, jobId: JobId, id: ArtifactId): Promise<ArtifactRow | null> {
  const [row] = await db
    .select()
    .from(artifacts)
    .where(and(eq(artifacts.id, id), eq(artifacts.jobId, jobId)));
  return row ?? null;
}
