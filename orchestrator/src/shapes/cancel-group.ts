import type { Db } from '@computefabric/db/client';
import type { GroupId } from '@computefabric/protocol/ids';
import { notify } from '../background/signals.ts';
import { countStates, lockGroup, requestGroupCancel } from './group.store.ts';
import { stateOf } from './group-view.ts';

/**
 * Asks every member of a group to stop. Only the wish is written here: from then on no member leaves `blocked`,
 * and whoever releases blocked jobs ends those that wait and tells the machines of the others, also when this
 * process dies now.
 */
export async function cancelGroup(db: Db, groupId: GroupId): Promise<'cancelling' | 'already-final'> {
  return await db.transaction(async (tx) => {
    await lockGroup(tx, groupId);
    const counts = (await countStates(tx, [groupId])).get(groupId);
    if (!counts || stateOf(counts) !== 'active') return 'already-final';
    await requestGroupCancel(tx, groupId);
    await notify(tx, 'cf_blocked', groupId);
    return 'cancelling';
  });
}
