import type { Db } from '@computefabric/db/client';
import { lesserOf } from '@computefabric/protocol/money';
import { InvariantError } from '@computefabric/runtime/invariant';
import { userAccount } from '../ledger/chart.ts';
import { postTransfers } from '../ledger/post-transfers.ts';
import { findPayableDebts } from './dispute.store.ts';

/** Debts paid back in one pass. */
const batch = 100;

/**
 * What owners owe since earnings were taken back that had been paid out is paid back out of what they earn later.
 *
 * @returns how many paid something
 */
export async function payDebts(db: Db): Promise<number> {
  let paid = 0;
  for (const { ownerId, debtMicros, payableMicros, paidBefore } of await findPayableDebts(db, batch)) {
    try {
      await db.transaction(async (tx) => {
        const from = await userAccount(tx, 'provider_payable', ownerId);
        const to = await userAccount(tx, 'provider_debt', ownerId);
        const amountMicros = lesserOf(debtMicros, payableMicros);
        // What was paid before names the cause: two passes at once pay once.
        const id = `debt-paid:${ownerId}:${paidBefore}`;
        await postTransfers(tx, [{ id, kind: 'debt-paid', from, to, amountMicros }]);
      });
      paid += 1;
    } catch (thrown) {
      // A payout or another pass took it in the same moment: the next pass looks again.
      if (!(thrown instanceof InvariantError)) throw thrown;
    }
  }
  return paid;
}
