import type { Db, Tx } from '@computefabric/db/client';
import { checkpointChunks } from '@computefabric/db/schema/checkpoint-chunks';
import { checkpoints } from '@computefabric/db/schema/checkpoints';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { storedObjects } from '@computefabric/db/schema/stored-objects';
import {
  type CheckpointId,
  type JobId,
  type LeaseId,
  newId,
  type ProviderId,
} from '@computefabric/protocol/ids';
import { openLeaseStates } from '@computefabric/protocol/lease-state';
import { and, desc, eq, exists, inArray, isNotNull, lt, ne, notExists, notInArray, sql } from 'drizzle-orm';
import { recountKeptStates } from './kept-states.store.ts';

export type CheckpointRow = typeof checkpoints.$inferSelect;

/** Complete checkpoints of a job that are kept: the one to go on from, and one to fall back on. */
export const keptPerJob = 2;
/** A save that has not come to its end after this long never will, seconds. */
const longestSaveSeconds = 7_200;

/** Begins a save; one of the same try that was under way is given up. */
export async function insertArriving(
  tx: Tx,
  from: { jobId: JobId; leaseId: LeaseId; attempt: number },
): Promise<CheckpointId> {
  await tx
    .delete(checkpoints)
    .where(and(eq(checkpoints.leaseId, from.leaseId), eq(checkpoints.state, 'arriving')));
  const id = newId('checkpoint');
  await tx.insert(checkpoints).values({ id, ...from });
  return id;
}

/** Whether the try is saving its state now. */
export async function hasArriving(db: Db | Tx, leaseId: LeaseId): Promise<boolean> {
  const rows = await db
    .select({ id: checkpoints.id })
    .from(checkpoints)
    .where(and(eq(checkpoints.leaseId, leaseId), eq(checkpoints.state, 'arriving')));
  return rows.length > 0;
}

export async function findCheckpoint(db: Db | Tx, id: CheckpointId): Promise<CheckpointRow | null> {
  const [row] = await db.select().from(checkpoints).where(eq(checkpoints.id, id));
  return row ?? null;
}

interface Completion {
  jobId: JobId;
  leaseId: LeaseId;
  manifestKey: string;
  manifestSha256: string;
  files: number;
  sizeBytes: number;
  chunkKeys: readonly string[];
  /** The machine keeps the state for a next try there: its id. */
  keptBy: ProviderId | null;
}

const insertBatch = 5_000;

/**
 * arriving → complete, with all that it refers to; the job's next try begins with it. The objects have been
 * touched in this transaction. False when it was not arriving any more.
 */
export async function completeCheckpoint(tx: Tx, id: CheckpointId, done: Completion): Promise<boolean> {
  const { jobId, leaseId, manifestKey, manifestSha256, files, sizeBytes, chunkKeys, keptBy } = done;
  const rows = await tx
    .update(checkpoints)
    .set({ state: 'complete', completedAt: sql`now()`, manifestKey, manifestSha256, files, sizeBytes })
    .where(and(eq(checkpoints.id, id), eq(checkpoints.leaseId, leaseId), eq(checkpoints.state, 'arriving')))
    .returning({ id: checkpoints.id });
  if (rows.length !== 1) return false;
  for (let at = 0; at < chunkKeys.length; at += insertBatch) {
    const batch = chunkKeys.slice(at, at + insertBatch);
    await tx.insert(checkpointChunks).values(batch.map((key) => ({ checkpointId: id, key })));
  }
  const elsewhere = sql`select 1 from ${checkpointChunks} as other where other.key = ${storedObjects.key} and other.checkpoint_id <> ${id}`;
  const ownChunks = tx
    .select({ key: checkpointChunks.key })
    .from(checkpointChunks)
    .where(eq(checkpointChunks.checkpointId, id));
  const [added] = await tx
    .select({ bytes: sql<string>`coalesce(sum(${storedObjects.sizeBytes}), 0)`.mapWith(Number) })
    .from(storedObjects)
    .where(and(inArray(storedObjects.key, ownChunks), sql`not exists (${elsewhere})`));
  await tx
    .update(checkpoints)
    .set({ newBytes: added?.bytes ?? 0 })
    .where(eq(checkpoints.id, id));
  await tx
    .update(jobs)
    .set({ checkpointId: id })
    .where(and(eq(jobs.id, jobId), eq(jobs.leaseId, leaseId)));
  // While the chunks of the one before are still known.
  await recountKeptStates(tx, jobId, id, keptBy);
  await dropSuperseded(tx, jobId);
  return true;
}

/** The moment up to which the newest complete checkpoint of a try has saved its work; null without one. */
export async function lastSavedAt(tx: Tx, leaseId: LeaseId): Promise<Date | null> {
  const [row] = await tx
    .select({ takenAt: checkpoints.takenAt })
    .from(checkpoints)
    .where(and(eq(checkpoints.leaseId, leaseId), eq(checkpoints.state, 'complete')))
    .orderBy(desc(checkpoints.takenAt), desc(checkpoints.id))
    .limit(1);
  return row?.takenAt ?? null;
}

/**
 * complete → damaged; the job goes on from the newest complete one, if there is any, or anew. Null when it was
 * not complete any more: somebody else has marked it.
 */
export async function markDamaged(
  tx: Tx,
  id: CheckpointId,
  jobId: JobId,
): Promise<{ next: CheckpointRow | null } | null> {
  const rows = await tx
    .update(checkpoints)
    .set({ state: 'damaged' })
    .where(and(eq(checkpoints.id, id), eq(checkpoints.state, 'complete')))
    .returning({ id: checkpoints.id });
  if (rows.length !== 1) return null;
  const [next] = await tx
    .select()
    .from(checkpoints)
    .where(and(eq(checkpoints.jobId, jobId), eq(checkpoints.state, 'complete')))
    .orderBy(desc(checkpoints.takenAt), desc(checkpoints.id))
    .limit(1);
  await tx
    .update(jobs)
    .set({ checkpointId: next?.id ?? null })
    .where(and(eq(jobs.id, jobId), eq(jobs.checkpointId, id)));
  return { next: next ?? null };
}

/** The object that holds a chunk of a checkpoint; null when the checkpoint has no such chunk. */
export async function findChunk(
  db: Db,
  id: CheckpointId,
  sha256: string,
): Promise<{ key: string; sizeBytes: number } | null> {
  const [row] = await db
    .select({ key: storedObjects.key, sizeBytes: storedObjects.sizeBytes })
    .from(checkpointChunks)
    .innerJoin(storedObjects, eq(storedObjects.key, checkpointChunks.key))
    .where(and(eq(checkpointChunks.checkpointId, id), eq(storedObjects.sha256, sha256)));
  return row ?? null;
}

/** What the job has saved, newest first; saves under way are not shown. */
export async function listCheckpointsOf(db: Db | Tx, jobId: JobId): Promise<CheckpointRow[]> {
  return await db
    .select()
    .from(checkpoints)
    .where(and(eq(checkpoints.jobId, jobId), ne(checkpoints.state, 'arriving')))
    .orderBy(desc(checkpoints.takenAt), desc(checkpoints.id));
}

/** Drops complete checkpoints of a job that newer ones have replaced, unless a try still begins with one. */
export async function dropSuperseded(tx: Db | Tx, jobId: JobId): Promise<void> {
  const newest = await tx
    .select({ id: checkpoints.id })
    .from(checkpoints)
    .where(and(eq(checkpoints.jobId, jobId), eq(checkpoints.state, 'complete')))
    .orderBy(desc(checkpoints.takenAt), desc(checkpoints.id))
    .limit(keptPerJob);
  await tx.delete(checkpoints).where(
    and(
      eq(checkpoints.jobId, jobId),
      eq(checkpoints.state, 'complete'),
      notInArray(
        checkpoints.id,
        newest.map(({ id }) => id),
      ),
      notExists(tx.select({ one: sql`1` }).from(jobs).where(eq(jobs.checkpointId, checkpoints.id))),
      notExists(
        tx
          .select({ one: sql`1` })
          .from(leases)
          .where(and(eq(leases.resumedFrom, checkpoints.id), inArray(leases.state, openLeaseStates))),
      ),
    ),
  );
}

/** Drops all checkpoints of jobs that ended more than `keepSeconds` ago, and saves that will never end. */
export async function dropOutlived(db: Db, keepSeconds: number): Promise<number> {
  const ended = db
    .select({ one: sql`1` })
    .from(jobs)
    .where(
      and(
        eq(jobs.id, checkpoints.jobId),
        isNotNull(jobs.finishedAt),
        lt(jobs.finishedAt, sql`now() - make_interval(secs => ${keepSeconds})`),
      ),
    );
  const over = db
    .select({ one: sql`1` })
    .from(leases)
    .where(and(eq(leases.id, checkpoints.leaseId), notInArray(leases.state, openLeaseStates)));
  const outlived = await db.delete(checkpoints).where(exists(ended)).returning({ id: checkpoints.id });
  const broken = await db
    .delete(checkpoints)
    .where(
      and(
        eq(checkpoints.state, 'arriving'),
        sql`(${exists(over)} or ${checkpoints.takenAt} < now() - make_interval(secs => ${longestSaveSeconds}))`,
      ),
    )
    .returning({ id: checkpoints.id });
  return outlived.length + broken.length;
}
