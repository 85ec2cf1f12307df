import type { Readable } from 'node:stream';
import type { Db, Tx } from '@computefabric/db/client';
import { type LeaseId, newId, type ProviderId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import { AppError } from '@computefabric/runtime/errors';
import { notify } from '../background/signals.ts';
import { lockJob } from '../jobs/job.store.ts';
import { findLease, type LeaseRow, lockLease } from '../leases/lease.store.ts';
import { keepObject } from '../objects/keep-object.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { touchObjects } from '../objects/stored-object.store.ts';
import { upsertArtifact, usageBeside } from './artifact.store.ts';

interface PutArtifact {
  leaseId: LeaseId;
  providerId: ProviderId;
  fence: number;
  /** Relative to /outputs, checked by the contract. */
  path: string;
  sha256: string;
  sizeBytes: number;
  body: Readable;
  signal: AbortSignal;
}

/**
 * Takes one result file of a try. First the bytes, then the row: a file that is listed can be downloaded. The
 * same file may be sent again. Whether the try is still this machine's is asked before the bytes are read,
 * and again under lock when the row is written: an upload takes long enough for that to change.
 *
 * @throws AppError `lease/not-found`, `lease/stale`, `artifact/too-large` or `artifact/hash-mismatch`.
 */
export async function putArtifact(
  { db, objects }: { db: Db; objects: ObjectStore },
  { body, signal, ...file }: PutArtifact,
): Promise<void> {
  const lease = await findLease(db, file.leaseId, file.providerId);
  if (!lease) throw new AppError('lease/not-found');
  requireActive(lease, file.fence);
  await requireRoom(db, file);
  // A refusal in the middle must not destroy the request: it still has to be answered.
  const bytes: AsyncIterable<Uint8Array> = body.iterator({ destroyOnReturn: false });
  const facts = { sha256: file.sha256, sizeBytes: file.sizeBytes };
  await keepObject({ db, objects }, lease.jobId, facts, bytes, signal);
  await db.transaction(async (tx) => {
    // The job first: every change of a lease takes the locks in this order.
    await lockJob(tx, lease.jobId);
    requireActive(await lockLease(tx, lease.id), file.fence);
    await requireRoom(tx, file);
    const { leaseId, path, sha256, sizeBytes } = file;
    const [object] = await touchObjects(tx, lease.jobId, [sha256]);
    if (!object) throw new AppError('server/busy'); // removed as abandoned: the machine sends it again
    await upsertArtifact(tx, {
      id: newId('artifact'),
      jobId: lease.jobId,
      leaseId,
      path,
      sha256,
      sizeBytes,
      blobKey: object.key,
    });
    await notify(tx, 'cf_job', lease.jobId);
  });
}

function requireActive(lease: LeaseRow | null, fence: number): void {
  if (lease?.state !== 'active' || lease.fence !== fence) throw new AppError('lease/stale');
}

async function requireRoom(db: Db | Tx, { leaseId, path, sizeBytes }: PutArtifactFacts): Promise<void> {
  const beside = await usageBeside(db, leaseId, path);
  if (beside.files >= limits.artifactFiles) {
    throw new AppError('artifact/too-large', {
      message: `A try keeps at most ${limits.artifactFiles} result files.`,
    });
  }
  if (beside.bytes + sizeBytes > limits.artifactBytes) {
    throw new AppError('artifact/too-large', {
      message: `The result files of a try are at most ${limits.artifactBytes} bytes together.`,
    });
  }
}

type PutArtifactFacts = Pick<PutArtifact, 'leaseId' | 'path' | 'sizeBytes'>;
