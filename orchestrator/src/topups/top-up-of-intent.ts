import { findUserOfCustomer } from './billing-account.store.ts';
import { followTopUp } from './follow-top-up.ts';
import type { TopUpDeps } from './top-up-deps.ts';
import { findOpenCheckouts, findTopUpBy, type TopUpRow } from './top-up.store.ts';

/**
 * The top-up that a payment of Stripe's belongs to, brought to where it stands now; null when it is not of this
 * market. A payment by checkout is made when somebody pays: an event about it, or about a claim, can be here
 * before the one that says so.
 */
export async function topUpOfIntent(deps: TopUpDeps, intentId: string): Promise<TopUpRow | null> {
  const { db, stripe } = deps;
  const known = await findTopUpBy(db, 'intentId', intentId);
  if (known?.state === 'succeeded') return known;
  if (known) {
    await followTopUp(deps, known.id);
  } else {
    const { customerId } = await stripe.readPayment(intentId);
    const userId = customerId === null ? null : await findUserOfCustomer(db, customerId);
    if (userId === null) return null;
    for (const id of await findOpenCheckouts(db, userId)) await followTopUp(deps, id);
  }
  return await findTopUpBy(db, 'intentId', intentId);
}
