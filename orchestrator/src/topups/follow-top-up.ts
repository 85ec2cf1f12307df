import type { Tx } from '@computefabric/db/client';
import type { TopUpId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { notify } from '../background/signals.ts';
import type { PaymentState } from '../stripe/stripe-gateway.ts';
import { lockBillingAccount, noteAutoFailure } from './billing-account.store.ts';
import { bookTopUp } from './book-top-up.ts';
import { customerOf } from './customer.ts';
import { refreshFreeze } from './freeze.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';
import {
  findTopUp,
  keepStripeIds,
  lockTopUp,
  movePaymentsOf,
  moveTopUp,
  noteTopUp,
  type TopUpRow,
} from './top-up.store.ts';

/** When a top-up that waits is looked at again, seconds. Events are faster; this finds what they do not say. */
const lookAgain = { person: 600, bank: 30 };
/** A page of Stripe's stays open for a day; a payment that nobody makes is given up after as long. */
const givenUpMs = 86_400_000;
/** Refused automatic top-ups in a row before they are switched off. */
const autoFailuresMost = 3;

/**
 * Brings a top-up to where Stripe says it is: asks, charges the saved card where that is its way, and books
 * what is paid. Safe to repeat at any point and at the same time: the payment is made once for the top-up, can
 * succeed once, and is booked under the lock of the row.
 *
 * @throws AppError `stripe/unavailable`: what happened is not known, and the next look finds it.
 */
export async function followTopUp(deps: TopUpDeps, id: TopUpId): Promise<void> {
  const { db, stripe } = deps;
  const found = await findTopUp(db, id);
  if (!found || found.state === 'succeeded') return;
  const row = await withIntent(deps, found);
  if (!row) return;
  invariant(row.intentId, `${id} has a payment`);
  let payment = await stripe.readPayment(row.intentId);
  const byCard = row.method === 'automatic' || row.method === 'per_job';
  if (payment.state === 'waiting' && byCard && row.state === 'open') {
    payment = await chargeCard(deps, row, row.intentId);
  } else if (isGivenUp(row, payment)) {
    payment = await stripe.cancelPayment(row.intentId);
  }
  await db.transaction((tx) => apply(tx, id, payment));
}

/** Nobody came to pay it or to confirm it. What is owed for jobs is never given up, and a page closes by itself. */
function isGivenUp(row: TopUpRow, { state }: PaymentState): boolean {
  if (row.method === 'per_job' || row.checkoutId !== null) return false;
  return (
    (state === 'waiting' || state === 'needs_action') && Date.now() - row.createdAt.getTime() > givenUpMs
  );
}

/** The row once its payment is known; null when there is none to follow yet, or there will never be one. */
async function withIntent({ db, stripe }: TopUpDeps, row: TopUpRow): Promise<TopUpRow | null> {
  if (row.checkoutId !== null) {
    const checkout = await stripe.readCheckout(row.checkoutId);
    if (checkout.intentId !== null && row.intentId === null) {
      return await keepStripeIds(db, row.id, { intentId: checkout.intentId });
    }
    if (row.intentId !== null) return row;
    if (checkout.state === 'expired') await db.transaction((tx) => moveTopUp(tx, row.id, 'canceled'));
    else await noteTopUp(db, row.id, lookAgain.person);
    return null;
  }
  if (row.intentId !== null) return row;
  if (row.method === 'checkout') {
    // Its page was never opened, or the answer was lost: whoever asks again gets the same one, for a day.
    if (Date.now() - row.createdAt.getTime() > givenUpMs) {
      await db.transaction((tx) => moveTopUp(tx, row.id, 'canceled'));
    } else await noteTopUp(db, row.id, lookAgain.person);
    return null;
  }
  const customerId = await customerOf({ db, stripe }, row.userId);
  const { intentId } = await stripe.createPayment({
    topUpId: row.id,
    customerId,
    amountMicros: row.amountMicros,
    saveCard: false,
  });
  return await keepStripeIds(db, row.id, { intentId });
}

async function chargeCard(deps: TopUpDeps, row: TopUpRow, intentId: string): Promise<PaymentState> {
  const { cardId, attempts: attempt } = row;
  invariant(cardId, `${row.id} charges a saved card`);
  const payment = await deps.stripe.confirmPayment({ intentId, cardId, attempt, returnUrl: null });
  if (payment.refusal?.code !== 'authentication_required') return payment;
  // Nobody is there now: the bank's page becomes a link for when they are.
  const { returnUrl } = deps.settings;
  // Attempts of its own, beyond any count of charges.
  return await deps.stripe.confirmPayment({ intentId, cardId, attempt: 1_000 + attempt, returnUrl });
}

async function apply(tx: Tx, id: TopUpId, payment: PaymentState): Promise<void> {
  const row = await lockTopUp(tx, id);
  if (!row || row.state === 'succeeded') return;
  switch (payment.state) {
    case 'paid':
      await bookTopUp(tx, row, payment);
      break;
    case 'canceled':
      if (row.state !== 'canceled')
        await moveTopUp(tx, id, 'canceled', { checkoutUrl: null, actionUrl: null });
      break;
    case 'needs_action':
      await moveTopUp(tx, id, 'needs_action', { actionUrl: payment.actionUrl });
      await noteTopUp(tx, id, lookAgain.person);
      break;
    case 'processing':
      await noteTopUp(tx, id, lookAgain.bank);
      break;
    case 'waiting':
      await applyWaiting(tx, row, payment);
      break;
  }
  await notify(tx, 'cf_payments', id);
}

async function applyWaiting(tx: Tx, row: TopUpRow, { refusal }: PaymentState): Promise<void> {
  const why = refusal && { failureCode: refusal.code, failureMessage: refusal.message };
  if (row.method === 'checkout' || row.method === 'element') {
    // The person is still there and may take another card.
    await noteTopUp(tx, row.id, lookAgain.person, why ?? {});
    return;
  }
  if (!why) {
    await noteTopUp(tx, row.id, lookAgain.bank);
    return;
  }
  await lockBillingAccount(tx, row.userId);
  if (!(await moveTopUp(tx, row.id, 'failed', { ...why, actionUrl: null }))) return;
  if (row.method === 'automatic') {
    const because = `The card was refused ${autoFailuresMost} times in a row: ${why.failureMessage}`;
    await noteAutoFailure(tx, row.userId, autoFailuresMost, because);
  } else {
    await movePaymentsOf(tx, row.id, 'failed');
  }
  await refreshFreeze(tx, row.userId);
}
