import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { CheckpointId, JobId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { lockJob } from '../jobs/job.store.ts';
import type { LeaseClaim } from '../leases/lease.store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { type CheckpointRow, findCheckpoint, findChunk, markDamaged } from './checkpoint.store.ts';
import { type CheckpointDeps, requireActive } from './save-checkpoint.ts';

/*
 * Saved state: what a try begins with, for its machine alone, and what is kept, for the owner of the job.
 * Everything is held against its hash before it goes out. What does not stand that marks the checkpoint as damaged, says so in the job's history, and makes the
 * next try begin with the one before.
 */

type ReadDeps = Pick<CheckpointDeps, 'db' | 'log' | 'objects'>;

/** The list of what a checkpoint holds, as it was saved. */
export interface ManifestText {
  checkpointId: CheckpointId;
  sha256: string;
  text: string;
}

export async function readStateManifest(deps: CheckpointDeps, claim: LeaseClaim): Promise<ManifestText> {
  return await readManifest(deps, await requireState(deps, claim));
}

export async function readStateChunk(
  deps: CheckpointDeps,
  claim: LeaseClaim,
  sha256: string,
): Promise<Buffer> {
  return await readChunk(deps, await requireState(deps, claim), sha256);
}

/** The same of a checkpoint that is kept of a job; who asks has been shown to own the job. */
export async function readKeptManifest(deps: ReadDeps, kept: KeptCheckpoint): Promise<ManifestText> {
  return await readManifest(deps, await requireKept(deps, kept));
}

export async function readKeptChunk(deps: ReadDeps, kept: KeptCheckpoint, sha256: string): Promise<Buffer> {
  return await readChunk(deps, await requireKept(deps, kept), sha256);
}

interface KeptCheckpoint {
  jobId: JobId;
  checkpointId: CheckpointId;
}

async function readManifest(deps: ReadDeps, checkpoint: CheckpointRow): Promise<ManifestText> {
  const { manifestKey, manifestSha256 } = checkpoint;
  if (manifestKey === null || manifestSha256 === null) throw new AppError('checkpoint/not-found');
  const bytes = await readWhole(deps.objects, manifestKey, manifestSha256);
  if (!bytes) return await damaged(deps, checkpoint, 'the list of its files');
  return { checkpointId: checkpoint.id, sha256: manifestSha256, text: bytes.toString('utf8') };
}

async function readChunk(deps: ReadDeps, checkpoint: CheckpointRow, sha256: string): Promise<Buffer> {
  const chunk = await findChunk(deps.db, checkpoint.id, sha256);
  if (!chunk) throw new AppError('checkpoint/not-found');
  return (await readWhole(deps.objects, chunk.key, sha256)) ?? (await damaged(deps, checkpoint, 'a chunk'));
}

async function requireState(deps: CheckpointDeps, claim: LeaseClaim): Promise<CheckpointRow> {
  const lease = await requireActive(deps, claim);
  if (!lease.resumedFrom) throw new AppError('checkpoint/not-found');
  return await requireKept(deps, { jobId: lease.jobId, checkpointId: lease.resumedFrom });
}

async function requireKept(
  { db }: ReadDeps,
  { jobId, checkpointId }: KeptCheckpoint,
): Promise<CheckpointRow> {
  const checkpoint = await findCheckpoint(db, checkpointId);
  if (checkpoint?.jobId !== jobId) throw new AppError('checkpoint/not-found');
  if (checkpoint.state === 'damaged') throw new AppError('checkpoint/damaged');
  if (checkpoint.state !== 'complete') throw new AppError('checkpoint/not-found');
  return checkpoint;
}

/** An object of a few MiB, if it is there and has this hash. A store that does not answer is another matter. */
async function readWhole(objects: ObjectStore, key: string, sha256: string): Promise<Buffer | null> {
  const stream = await objects.open(key, { start: 0, end: Number.MAX_SAFE_INTEGER });
  if (!stream) return null;
  const bytes = await buffer(stream);
  return createHash('sha256').update(bytes).digest('hex') === sha256 ? bytes : null;
}

async function damaged(
  { db, log }: ReadDeps,
  checkpoint: { id: CheckpointId; jobId: JobId; takenAt: Date },
  what: string,
): Promise<never> {
  log.error({ checkpoint_id: checkpoint.id, job_id: checkpoint.jobId, what }, 'a checkpoint is damaged');
  await db.transaction(async (tx) => {
    await lockJob(tx, checkpoint.jobId);
    const marked = await markDamaged(tx, checkpoint.id, checkpoint.jobId);
    if (!marked) return;
    const { next } = marked;
    await appendJobEvent(tx, {
      jobId: checkpoint.jobId,
      type: 'checkpoint-damaged',
      message: `The state saved at ${checkpoint.takenAt.toISOString()} is damaged (${what}). ${
        next
          ? `The next try begins with that of ${next.takenAt.toISOString()}.`
          : 'There is no other: the next try begins anew.'
      }`,
      data: { checkpoint_id: checkpoint.id, next_checkpoint_id: next?.id ?? null },
    });
  });
  throw new AppError('checkpoint/damaged');
}
