import type { Db } from '@computefabric/db/client';
import type { ProviderId } from '@computefabric/protocol/ids';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import { notify } from '../background/signals.ts';
import { setOwnerNotice } from '../providers/owner-notice.store.ts';

/** Takes in what a machine's owner's rules say, so that the matcher knows at once whether it takes work. */
export async function noteOwner(
  { db }: { db: Db },
  providerId: ProviderId,
  session: number,
  notice: OwnerNotice,
): Promise<void> {
  await db.transaction(async (tx) => {
    if (await setOwnerNotice(tx, providerId, session, notice)) await notify(tx, 'cf_queue', providerId);
  });
}
