import type { Db } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { findGroupOf, type GroupRow } from '../jobs/group-reads.store.ts';

/**
 * The user's group that a reference names: its id or its name.
 *
 * @throws AppError `group/not-found`, also for a group of somebody else.
 */
export async function requireGroup(db: Db, userId: UserId, ref: string): Promise<GroupRow> {
  const group = await findGroupOf(db, userId, ref);
  if (!group) throw new AppError('group/not-found');
  return group;
}
