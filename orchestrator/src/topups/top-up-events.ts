import type { StripeEventHandler, StripeEventHandlers } from '../stripe/dispatch-events.worker.ts';
import { findUserOfCustomer } from './billing-account.store.ts';
import { syncCards } from './cards.ts';
import { followDispute } from './follow-dispute.ts';
import { followStripeRefund } from './follow-refund.ts';
import { followTopUp } from './follow-top-up.ts';
import type { TopUpDeps } from './top-up-deps.ts';
import { topUpOfIntent } from './top-up-of-intent.ts';
import { findTopUpBy } from './top-up.store.ts';

/** What Stripe's events about renters call for. Each asks Stripe how the object stands now. */
export function topUpEventHandlers(deps: TopUpDeps): StripeEventHandlers {
  const { db, stripe } = deps;
  const syncCardsOf = async (customerId: string | null) => {
    const userId = customerId === null ? null : await findUserOfCustomer(db, customerId);
    if (userId !== null) await syncCards(deps, userId);
  };
  const payment: StripeEventHandler = async (intentId) => {
    await topUpOfIntent(deps, intentId);
  };
  const checkout: StripeEventHandler = async (checkoutId) => {
    const topUp = await findTopUpBy(db, 'checkoutId', checkoutId);
    if (topUp) await followTopUp(deps, topUp.id);
    await syncCardsOf((await stripe.readCheckout(checkoutId)).customerId);
  };
  const refund: StripeEventHandler = (refundId) => followStripeRefund(deps, refundId);
  const dispute: StripeEventHandler = (disputeId) => followDispute(deps, disputeId);
  return {
    'checkout.session.completed': checkout,
    'checkout.session.expired': checkout,
    'payment_intent.succeeded': payment,
    'payment_intent.payment_failed': payment,
    'payment_intent.requires_action': payment,
    'payment_intent.processing': payment,
    'payment_intent.canceled': payment,
    'refund.created': refund,
    'refund.updated': refund,
    'refund.failed': refund,
    'charge.dispute.created': dispute,
    'charge.dispute.updated': dispute,
    'charge.dispute.closed': dispute,
    'charge.dispute.funds_withdrawn': dispute,
    'charge.dispute.funds_reinstated': dispute,
  };
}
