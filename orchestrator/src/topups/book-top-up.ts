import type { Tx } from '@computefabric/db/client';
import { lesserOf } from '@computefabric/protocol/money';
import { invariant } from '@computefabric/runtime/invariant';
import { balanceMicros, marketAccount, userAccount } from '../ledger/chart.ts';
import { postTransfers, type Transfer } from '../ledger/post-transfers.ts';
import type { PaymentState } from '../stripe/stripe-gateway.ts';
import { changeBillingAccount, lockBillingAccount } from './billing-account.store.ts';
import { refreshFreeze } from './freeze.store.ts';
import { movePaymentsOf, moveTopUp, type TopUpRow } from './top-up.store.ts';

/**
 * Books a payment that Stripe says is paid: to the renter's balance, and from there to what they owe, if
 * anything. The amount is what Stripe has received, whatever we asked for. Once per payment; the caller has
 * locked the top-up and seen that it is not booked.
 */
export async function bookTopUp(tx: Tx, topUp: TopUpRow, payment: PaymentState): Promise<void> {
  invariant(payment.state === 'paid' && payment.paidMicros > 0n, `${payment.intentId} is paid`);
  const { userId } = topUp;
  await lockBillingAccount(tx, userId);
  const moved = await moveTopUp(tx, topUp.id, 'succeeded', {
    amountMicros: payment.paidMicros,
    intentId: payment.intentId,
    chargeId: payment.chargeId,
    checkoutUrl: null,
    actionUrl: null,
    failureCode: null,
    failureMessage: null,
  });
  invariant(moved, `${topUp.id} was not booked before`);
  const available = await userAccount(tx, 'renter_available', userId);
  const debt = await userAccount(tx, 'renter_debt', userId);
  const clearing = await marketAccount(tx, 'stripe_clearing');
  const owed = -(await balanceMicros(tx, 'renter_debt', userId));
  const paidOff = lesserOf(owed, payment.paidMicros);
  const transfers: Transfer[] = [
    {
      id: `top-up:${payment.intentId}`,
      kind: 'top-up',
      from: clearing,
      to: available,
      amountMicros: payment.paidMicros,
    },
    { id: `debt-paid:${topUp.id}`, kind: 'debt-paid', from: available, to: debt, amountMicros: paidOff },
  ];
  // Otherwise the statement brings the fee; its cause is the same.
  if (payment.line) {
    transfers.push({
      id: `stripe-fee:${payment.line.id}`,
      kind: 'stripe-fee',
      from: await marketAccount(tx, 'stripe_fees'),
      to: clearing,
      amountMicros: payment.line.feeMicros,
    });
  }
  await postTransfers(
    tx,
    transfers.filter(({ amountMicros }) => amountMicros > 0n),
  );
  await movePaymentsOf(tx, topUp.id, 'succeeded');
  if (topUp.method === 'automatic') {
    await changeBillingAccount(tx, userId, { autoFailures: 0, autoNotBefore: null });
  }
  await refreshFreeze(tx, userId);
}
