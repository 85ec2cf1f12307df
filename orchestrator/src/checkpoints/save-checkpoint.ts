import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { CheckpointId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import {
  type CheckpointManifest,
  checkpointManifest,
  chunkSize,
} from '@computefabric/protocol/provider-api/v1/checkpoints';
import { AppError } from '@computefabric/runtime/errors';
import { notify } from '../background/signals.ts';
import { stale, withClaimedLease } from '../leases/claimed-lease.ts';
import { findLease, type LeaseClaim, type LeaseRow } from '../leases/lease.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { keepObject } from '../objects/keep-object.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { storedStateBytesOf, touchObjects } from '../objects/stored-object.store.ts';
import { completeCheckpoint, findCheckpoint, hasArriving, insertArriving } from './checkpoint.store.ts';

export interface CheckpointDeps extends LeaseDeps {
  objects: ObjectStore;
}

/**
 * A save begins; its moment is now, by the database's clock. Null when nobody will need the state: the job
 * keeps none, is being cancelled, or has gone on without this try.
 */
export async function beginCheckpoint(deps: CheckpointDeps, claim: LeaseClaim): Promise<CheckpointId | null> {
  return await withClaimedLease(deps, 'checkpoint', claim, async (tx, job, lease) => {
    if (lease.state !== 'active') throw stale();
    if (!job.checkpoint || job.cancelRequestedAt || job.leaseId !== lease.id || !lease.startedAt) return null;
    return await insertArriving(tx, { jobId: job.id, leaseId: lease.id, attempt: lease.attempt });
  });
}

/** Which of these chunks have to be sent. Those that need not are kept from being removed while the save lasts. */
export async function findMissingChunks(
  deps: CheckpointDeps,
  claim: LeaseClaim,
  sha256s: readonly string[],
): Promise<string[]> {
  const lease = await requireSaving(deps, claim);
  const stored = await deps.db.transaction((tx) => touchObjects(tx, lease.jobId, sha256s));
  const have = new Set(stored.map(({ sha256 }) => sha256));
  return [...new Set(sha256s)].filter((sha256) => !have.has(sha256));
}

interface Chunk {
  sha256: string;
  sizeBytes: number;
  body: Readable;
  signal: AbortSignal;
}

/**
 * Takes one chunk in; hashed while it arrives.
 *
 * @throws AppError `checkpoint/no-room` when the job has too much stored already
 */
export async function putChunk(deps: CheckpointDeps, claim: LeaseClaim, chunk: Chunk): Promise<void> {
  const lease = await requireSaving(deps, claim);
  const stored = await storedStateBytesOf(deps.db, lease.jobId);
  if (stored + chunk.sizeBytes > limits.checkpointBytesPerJob) throw new AppError('checkpoint/no-room');
  // A refusal in the middle must not destroy the request: it still has to be answered.
  const bytes: AsyncIterable<Uint8Array> = chunk.body.iterator({ destroyOnReturn: false });
  const facts = { sha256: chunk.sha256, sizeBytes: chunk.sizeBytes };
  await keepObject(deps, lease.jobId, facts, bytes, chunk.signal);
}

/**
 * Makes a save a checkpoint: all its chunks are stored, have the sizes that its files ask for, and are kept
 * from now on; the job's next try begins with it. All at once, or nothing: then the answer names chunks that
 * are missing. Sent again, it gives the same answer.
 */
export async function commitCheckpoint(
  deps: CheckpointDeps,
  claim: LeaseClaim,
  commit: { checkpointId: CheckpointId; sha256: string; bytes: Buffer; kept?: boolean; signal: AbortSignal },
): Promise<{ missing: string[] }> {
  const manifest = parseManifest(commit.bytes, commit.sha256);
  const known = await requireActive(deps, claim);
  const facts = { sha256: commit.sha256, sizeBytes: commit.bytes.byteLength };
  await keepObject(deps, known.jobId, facts, once(commit.bytes), commit.signal);
  return await withClaimedLease(deps, 'checkpoint', claim, async (tx, job, lease) => {
    if (lease.state !== 'active') throw stale();
    const row = await findCheckpoint(tx, commit.checkpointId);
    if (row?.leaseId !== lease.id) throw new AppError('checkpoint/not-found');
    if (row.state !== 'arriving') {
      if (row.manifestSha256 === commit.sha256) return { missing: [] };
      throw new AppError('checkpoint/not-found');
    }
    const sizes = chunkSizes(manifest);
    const wanted = [...sizes.keys(), commit.sha256];
    const stored = new Map((await touchObjects(tx, job.id, wanted)).map((object) => [object.sha256, object]));
    const missing = wanted.filter((sha256) => !stored.has(sha256));
    if (missing.includes(commit.sha256)) throw new AppError('server/busy'); // removed as abandoned just now
    if (missing.length > 0) return { missing: missing.slice(0, limits.checkpointChunksPerQuestion) };
    for (const [sha256, sizeBytes] of sizes) {
      if (stored.get(sha256)?.sizeBytes !== sizeBytes) throw badManifest(`chunk ${sha256} has another size`);
    }
    await completeCheckpoint(tx, row.id, {
      jobId: job.id,
      leaseId: lease.id,
      manifestKey: keyOf(stored, commit.sha256),
      manifestSha256: commit.sha256,
      files: manifest.files.length,
      sizeBytes: manifest.files.reduce((sum, file) => sum + file.size_bytes, 0),
      chunkKeys: [...sizes.keys()].map((sha256) => keyOf(stored, sha256)),
      keptBy: commit.kept ? lease.providerId : null,
    });
    await notify(tx, 'cf_job', job.id);
    return { missing: [] };
  });
}

/** The manifest in these bytes, which must have that hash. */
export function parseManifest(bytes: Buffer, sha256: string): CheckpointManifest {
  if (createHash('sha256').update(bytes).digest('hex') !== sha256)
    throw new AppError('artifact/hash-mismatch');
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw badManifest('it is not JSON');
  }
  const parsed = checkpointManifest.safeParse(json);
  if (!parsed.success) throw badManifest(parsed.error.issues[0]?.message ?? 'it has another form');
  return parsed.data;
}

/** Each chunk once, with the size that its place in a file gives it. */
function chunkSizes(manifest: CheckpointManifest): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const file of manifest.files) {
    for (const [index, sha256] of file.chunks.entries()) {
      const size = chunkSize(file.size_bytes, index);
      if ((sizes.get(sha256) ?? size) !== size) throw badManifest(`chunk ${sha256} has two sizes`);
      sizes.set(sha256, size);
    }
  }
  return sizes;
}

function keyOf(stored: ReadonlyMap<string, { key: string }>, sha256: string): string {
  const object = stored.get(sha256);
  if (!object) throw new AppError('server/busy');
  return object.key;
}

async function requireSaving(deps: CheckpointDeps, claim: LeaseClaim): Promise<LeaseRow> {
  const lease = await requireActive(deps, claim);
  if (!(await hasArriving(deps.db, lease.id))) throw new AppError('checkpoint/not-found');
  return lease;
}

/** Asked before bytes are read; whoever writes asks again under lock. */
export async function requireActive(deps: CheckpointDeps, claim: LeaseClaim): Promise<LeaseRow> {
  const lease = await findLease(deps.db, claim.leaseId, claim.providerId);
  if (!lease) throw new AppError('lease/not-found');
  if (lease.state !== 'active' || lease.fence !== claim.fence) {
    deps.onStaleCall('checkpoint');
    throw stale();
  }
  return lease;
}

function badManifest(why: string): AppError {
  return new AppError('checkpoint/bad-manifest', {
    message: `The list of what the checkpoint holds is not valid: ${why}.`,
  });
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
