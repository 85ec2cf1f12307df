import type { Db } from '@computefabric/db/client';
import type { JobId, ProviderId } from '@computefabric/protocol/ids';
import type { KeptState } from '@computefabric/protocol/provider-api/v1/session';
import { notifyAll } from '../background/signals.ts';
import { replaceKeptStates } from './kept-states.store.ts';

/**
 * A machine says of which jobs it still has the state: the matcher weighs that when they wait.
 *
 * @returns the jobs of which it is to keep nothing. A job that is over and one that it never had look the same: a
 * machine cannot ask here which jobs there are.
 */
export async function noteKeptStates(
  { db }: { db: Db },
  providerId: ProviderId,
  named: readonly KeptState[],
): Promise<JobId[]> {
  return await db.transaction(async (tx) => {
    const { forget, changed } = await replaceKeptStates(tx, providerId, named);
    await notifyAll(tx, 'cf_queue', changed);
    return forget;
  });
}
