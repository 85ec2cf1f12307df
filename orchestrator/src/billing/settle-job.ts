import type { Db } from '@computefabric/db/client';
import type { JobId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { settleBudgets } from '../accounts/budget.store.ts';
import { notify } from '../background/signals.ts';
import { settleHold } from '../ledger/settle-hold.ts';
import { completePayment, findBilledLeases, lockUnsettled } from './settlement.store.ts';

/**
 * Settles one ended job: pays the owners and the market out of the hold, gives the rest back and completes
 * the payment, in one transaction. Exactly once, whoever tries and however often: the payment's row is locked
 * and its state read under that lock. The bills were frozen when the tries ended; here they are only added.
 *
 * @returns false when there is nothing to do: settled already, not ended, or in another worker's hands.
 */
export async function settleJob(db: Db, jobId: JobId): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const payment = await lockUnsettled(tx, jobId);
    if (!payment) return false;
    const amountMicros = await settleHold(tx, { jobId, ...payment }, await findBilledLeases(tx, jobId));
    const completed = await completePayment(tx, payment.id, amountMicros);
    invariant(completed, `the payment of ${jobId} stayed pending while it was locked`);
    await settleBudgets(tx, payment, { holdMicros: payment.holdMicros, amountMicros });
    await notify(tx, 'cf_job', jobId); // whoever shows the job shows its payment too
    return true;
  });
}
