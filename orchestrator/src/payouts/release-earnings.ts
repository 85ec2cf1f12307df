import type { Db } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { InvariantError } from '@computefabric/runtime/invariant';
import { postTransfers } from '../ledger/post-transfers.ts';
import { findHeldBack, findHoldings } from './holding.store.ts';
import type { PayoutSettings } from './payout-deps.ts';
import { takePayable } from './take-payable.ts';

/** Owners whose earnings are looked at with one statement. */
const batch = 200;

/**
 * Moves earnings whose hold window is over to what may be paid out. Contested ones, and those of owners who are new to
 * the market, stay.
 *
 * @returns owners of whom something was released
 */
export async function releaseEarnings(
  db: Db,
  settings: PayoutSettings,
  signal?: AbortSignal,
): Promise<number> {
  let released = 0;
  let after: UserId | null = null;
  while (signal?.aborted !== true) {
    const owners: UserId[] = await findHeldBack(db, after, batch);
    const holdings = owners.length === 0 ? [] : await findHoldings(db, owners, settings);
    for (const { userId, heldMicros, keptMicros } of holdings) {
      if (heldMicros > keptMicros && (await releaseOf(db, userId, settings))) released += 1;
    }
    after = owners.at(-1) ?? null;
    if (owners.length < batch) return released;
  }
  return released;
}

async function releaseOf(db: Db, userId: UserId, settings: PayoutSettings): Promise<boolean> {
  try {
    return await db.transaction(async (tx) => {
      const { transfers } = await takePayable(tx, userId, settings);
      await postTransfers(tx, transfers);
      return transfers.length > 0;
    });
  } catch (thrown) {
    // A decision about a dispute took it in the same moment: the next pass looks again.
    if (thrown instanceof InvariantError) return false;
    throw thrown;
  }
}
