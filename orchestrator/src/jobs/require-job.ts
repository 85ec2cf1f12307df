import type { Db } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import type { JobRow } from './job.store.ts';
import { findJobOf } from './job-reads.store.ts';

/**
 * The user's job that a reference names: its id, its name or the beginning of its id.
 *
 * @throws AppError `job/not-found`, also for a job of somebody else; `request/invalid` when the beginning of
 *   an id fits more than one.
 */
export async function requireJob(db: Db, userId: UserId, ref: string): Promise<JobRow> {
  const job = await findJobOf(db, userId, ref);
  if (job === null) throw new AppError('job/not-found');
  if (job !== 'ambiguous') return job;
  const message = 'begins the ids of more than one of your jobs; write more of it';
  throw new AppError('request/invalid', {
    message: `${ref} ${message}.`,
    fields: [{ path: 'job', message }],
  });
}
