import type { Db } from '@computefabric/db/client';
import { newId, type UserId } from '@computefabric/protocol/ids';
import { greaterOf, lesserOf } from '@computefabric/protocol/money';
import { balanceMicros, userAccount } from '../ledger/chart.ts';
import { postTransfers } from '../ledger/post-transfers.ts';
import { LEAST_CHARGE_MICROS, upToCents } from '../stripe/cents.ts';
import { lockBillingAccount } from './billing-account.store.ts';
import { refreshFreeze } from './freeze.store.ts';
import { assignPayments, findOwing, lockOwed } from './owed-jobs.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';
import { insertCharge } from './top-up.store.ts';

const batch = 100;
/** Less than Stripe's least charge is gathered for this long; then that is charged and the rest stays to spend. */
const mostGatherDays = 30;

/**
 * Begins the charges for jobs that have ended, where each job is charged; gives how many.
 *
 * @param gatherDays how long less than the least charge is gathered
 */
export async function collectEndedJobs({ db }: TopUpDeps, gatherDays = mostGatherDays): Promise<number> {
  let begun = 0;
  for (const userId of await findOwing(db, batch)) if (await collect(db, userId, gatherDays)) begun += 1;
  return begun;
}

/**
 * First the user's own balance pays what is owed; the card pays the rest. What unfinished jobs have reserved on
 * credit is not due. Amounts are rounded up to the cent: the part of a cent beyond stays in the balance.
 */
async function collect(db: Db, userId: UserId, gatherDays: number): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const { cardId } = await lockBillingAccount(tx, userId);
    const owedPayments = await lockOwed(tx, userId, gatherDays);
    if (owedPayments.length === 0) return false;
    const ids = owedPayments.map(({ id }) => id);
    const debt = -(await balanceMicros(tx, 'renter_debt', userId));
    const available = await balanceMicros(tx, 'renter_available', userId);
    const own = lesserOf(available, debt);
    if (own > 0n) {
      const from = await userAccount(tx, 'renter_available', userId);
      const to = await userAccount(tx, 'renter_debt', userId);
      await postTransfers(tx, [
        { id: `debt-paid:${newId('payment')}`, kind: 'debt-paid', from, to, amountMicros: own },
      ]);
    }
    const held = await balanceMicros(tx, 'renter_held', userId);
    const due = debt - own - held;
    if (due <= 0n) {
      // Paid from the balance; with unfinished jobs on credit it shows when those have ended.
      if (debt === own) await assignPayments(tx, ids, null);
      await refreshFreeze(tx, userId);
      return false;
    }
    const isOld = owedPayments.some((payment) => payment.isOld);
    if ((due < LEAST_CHARGE_MICROS && !isOld) || cardId === null) return false;
    const amountMicros = upToCents(greaterOf(due, LEAST_CHARGE_MICROS));
    const charge = await insertCharge(tx, { userId, method: 'per_job', amountMicros, cardId });
    if (charge === null) return false; // the one before is under way
    await assignPayments(tx, ids, charge);
    return true;
  });
}
