import { randomBytes } from 'node:crypto';
import type { Db } from '@computefabric/db/client';
import type { JobId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import type { ObjectFacts, ObjectStore } from './object-store.ts';
import { claimObject, markStored } from './stored-object.store.ts';

/**
 * Takes bytes of a job in and gives their key. The row is there before the bytes and says `stored` after them,
 * so that nothing is ever in the store without the database knowing of it, and nothing counts as stored that
 * is not. Something must refer to it soon (with `touchObjects`), or it is removed again.
 *
 * @throws AppError `artifact/hash-mismatch`; `server/busy` when it was removed as abandoned meanwhile
 */
export async function keepObject(
  { db, objects }: { db: Db; objects: ObjectStore },
  jobId: JobId,
  facts: ObjectFacts,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<string> {
  const key = await claimObject(db, jobId, facts, freshKey(jobId, facts.sha256));
  await objects.put(key, body, facts, signal);
  if (!(await markStored(db, key))) throw new AppError('server/busy');
  return key;
}

/** Never used before: what is being removed under an older key stays apart from what comes anew. */
function freshKey(jobId: JobId, sha256: string): string {
  return `${jobId}/${sha256}-${randomBytes(4).toString('hex')}`;
}
