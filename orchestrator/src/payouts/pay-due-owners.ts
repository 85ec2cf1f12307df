import { AppError } from '@computefabric/runtime/errors';
import { InvariantError } from '@computefabric/runtime/invariant';
import { createPayout } from './create-payout.ts';
import { advanceSchedule, findDueAccounts } from './payout-account.store.ts';
import type { PayoutDeps } from './payout-deps.ts';

/**
 * Begins a payout for each owner whose schedule says now and who has enough. Who has not waits for their next time.
 *
 * @returns how many owners were looked at
 */
export async function payDueOwners({ db, log, settings }: PayoutDeps, limit: number): Promise<number> {
  const due = await findDueAccounts(db, limit);
  for (const { userId, minimumMicros } of due) {
    try {
      await db.transaction(async (tx) => {
        const leastMicros = minimumMicros ?? settings.minimumMicros;
        const { id } = await createPayout(tx, settings, { userId, amountMicros: null, leastMicros });
        await advanceSchedule(tx, userId);
        log.info({ payout_id: id, user_id: userId }, 'a payout is due');
      });
    } catch (thrown) {
      if (thrown instanceof InvariantError) continue; // still due: the next pass looks again
      if (!(thrown instanceof AppError)) throw thrown;
      await advanceSchedule(db, userId);
    }
  }
  return due.length;
}
