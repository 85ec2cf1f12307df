import type { Tx } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { lesserOf } from '@computefabric/protocol/money';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { notify } from '../background/signals.ts';
import { balanceMicros, marketAccount, userAccount } from '../ledger/chart.ts';
import { postTransfers, type Transfer } from '../ledger/post-transfers.ts';
import { wholeCents } from '../stripe/cents.ts';
import { lockBillingAccount } from './billing-account.store.ts';
import { type CardRefundRow, findRefundable, insertCardRefund } from './card-refund.store.ts';

/**
 * Gives unspent money back to the cards that it came from, newest top-up first. It leaves the balance at once;
 * Stripe hears of it afterwards, and what a bank does not take comes back. Less than a cent stays.
 *
 * @param amountMicros whole cents; null is all that can go back
 * @throws AppError `billing/nothing-to-refund`, `billing/account-frozen` or `ledger/insufficient-funds`
 */
export async function refundBalance(
  tx: Tx,
  userId: UserId,
  amountMicros: bigint | null,
): Promise<CardRefundRow[]> {
  const { frozenBy } = await lockBillingAccount(tx, userId);
  if (frozenBy !== null) throw new AppError('billing/account-frozen');
  const available = await balanceMicros(tx, 'renter_available', userId);
  if (amountMicros !== null && amountMicros > available) {
    throw new AppError('ledger/insufficient-funds', {
      message: 'The balance is lower than that.',
      details: { available_micros: String(available), needed_micros: String(amountMicros) },
    });
  }
  const refundable = await findRefundable(tx, userId);
  let left = amountMicros ?? wholeCents(available);
  const from = await userAccount(tx, 'renter_available', userId);
  const to = await marketAccount(tx, 'stripe_clearing');
  const refunds: CardRefundRow[] = [];
  const transfers: Transfer[] = [];
  for (const { topUpId, leftMicros } of refundable) {
    const part = lesserOf(left, leftMicros);
    if (part === 0n) break;
    const refund = await insertCardRefund(tx, { userId, topUpId, amountMicros: part });
    invariant(refund, 'a fresh refund has a fresh id');
    refunds.push(refund);
    transfers.push({ id: `card-refund:${refund.id}`, kind: 'card-refund', from, to, amountMicros: part });
    left -= part;
  }
  if (refunds.length === 0 || (amountMicros !== null && left > 0n)) {
    const most = refundable.reduce((sum, { leftMicros }) => sum + leftMicros, 0n);
    throw new AppError('billing/nothing-to-refund', {
      details: { refundable_micros: String(most < available ? most : wholeCents(available)) },
    });
  }
  await postTransfers(tx, transfers);
  await notify(tx, 'cf_payments', userId);
  return refunds;
}
