import type { UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { customerOf } from './customer.ts';
import type { TopUpDeps } from './top-up-deps.ts';
import { findTopUp, insertRequested, keepStripeIds, type TopUpRow } from './top-up.store.ts';

/**
 * Begins a top-up by a person: a page of Stripe's to pay on, or a payment that a browser confirms. The row is
 * written first; a repeat of the request's key gives the same top-up, and whatever was lost on the way to
 * Stripe is asked for again under the same cause.
 *
 * @param request.amountMicros whole cents
 * @throws AppError `request/idempotency-key-reused`, `stripe/unavailable` or `stripe/refused`
 */
export async function startTopUp(
  deps: TopUpDeps,
  request: {
    userId: UserId;
    requestKey: string;
    method: 'checkout' | 'element';
    amountMicros: bigint;
    saveCard: boolean;
  },
): Promise<{ topUp: TopUpRow; clientSecret: string | null }> {
  const { db, stripe, settings } = deps;
  const { saveCard, ...wanted } = request;
  const row = await db.transaction((tx) => insertRequested(tx, wanted));
  invariant(row, 'a top-up exists once it was asked for');
  if (row.state === 'open' && row.amountMicros !== wanted.amountMicros) {
    throw new AppError('request/idempotency-key-reused');
  }
  if (row.method !== wanted.method) throw new AppError('request/idempotency-key-reused');
  const { amountMicros } = row;
  if (row.state !== 'open') return { topUp: row, clientSecret: null };
  const customerId = await customerOf(deps, row.userId);
  if (row.method === 'element') {
    const made = await stripe.createPayment({ topUpId: row.id, customerId, amountMicros, saveCard });
    const topUp = await keepStripeIds(db, row.id, { intentId: made.intentId });
    invariant(topUp, `${row.id} exists`);
    return { topUp, clientSecret: made.clientSecret };
  }
  if (row.checkoutId === null) {
    const { returnUrl } = settings;
    const opened = await stripe.openCheckout({
      topUpId: row.id,
      customerId,
      amountMicros,
      saveCard,
      returnUrl,
    });
    await keepStripeIds(db, row.id, { checkoutId: opened.checkoutId, checkoutUrl: opened.url });
  }
  const topUp = await findTopUp(db, row.id);
  invariant(topUp, `${row.id} exists`);
  return { topUp, clientSecret: null };
}
