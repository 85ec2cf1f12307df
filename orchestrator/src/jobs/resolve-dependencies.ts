import type { Tx } from '@computefabric/db/client';
import { jobMachine } from '@computefabric/protocol/job-state';
import type { UserId } from '@computefabric/protocol/ids';
import type { JobSpec } from '@computefabric/protocol/user-api/job-spec';
import { AppError } from '@computefabric/runtime/errors';
import { findGroupOf } from './group-reads.store.ts';
import type { NewDependency } from './job-dependencies.store.ts';
import { findJobOf } from './job-reads.store.ts';

/**
 * Looks up what a job comes `after`. Everything named exists already, so that no circle can be written. What has
 * ended as it had to counts as met at once; the rest is judged by whoever releases blocked jobs.
 *
 * @param path of the list in the request, for the answer
 * @throws AppError `request/invalid` when a reference names nothing of the user's.
 */
export async function resolveDependencies(
  tx: Tx,
  userId: UserId,
  after: JobSpec['after'],
  path = 'after',
): Promise<NewDependency[]> {
  const found: NewDependency[] = [];
  for (const [index, { job: ref, when }] of after.entries()) {
    const job = await findJobOf(tx, userId, ref);
    if (job !== null && job !== 'ambiguous') {
      const met =
        jobMachine.isTerminal(job.state) &&
        (when === 'any' || (when === 'success') === (job.state === 'succeeded'));
      found.push({ onJobId: job.id, onGroupId: null, condition: when, met });
      continue;
    }
    const group = await findGroupOf(tx, userId, ref);
    if (!group) {
      const message = `names no job or group of yours: ${ref}`;
      throw new AppError('request/invalid', {
        message: `${path}[${index}].job ${message}.`,
        fields: [{ path: `${path}[${index}].job`, message }],
      });
    }
    found.push({ onJobId: null, onGroupId: group.id, condition: when, met: false });
  }
  return found;
}
