import type { BillingView, TopUpItem } from '../types/billing-view.ts';

/** Whoever has paid is back within this; an older page to pay on was left. */
const atCheckoutMs = 15 * 60_000;
/** For so long a payment that has arrived is news. */
const newsMs = 2 * 60_000;
/** A refund is under way for days at some banks; the page follows it only for a while. */
const refundFollowedMs = 5 * 60_000;

/** The newest top-up that a person made, while it is under way or news; null otherwise. */
export function freshTopUp(topUps: readonly TopUpItem[], now: Date): TopUpItem | null {
  const newest = topUps.find(({ method }) => method === 'checkout' || method === 'element');
  if (!newest) return null;
  const isOpen = newest.state === 'open' || newest.state === 'needs_action';
  const since = newest.settledAt ?? newest.createdAt;
  return now.getTime() - since.getTime() < (isOpen ? atCheckoutMs : newsMs) ? newest : null;
}

/** Whether something on the billing page can still change by itself in the next moments. */
export function isMoneyMoving({ topUps, refunds }: BillingView, now: Date): boolean {
  const isYounger = (at: Date, ms: number) => now.getTime() - at.getTime() < ms;
  return (
    topUps.some(({ state, createdAt }) => state === 'open' && isYounger(createdAt, atCheckoutMs)) ||
    refunds.some(({ state, createdAt }) => state === 'pending' && isYounger(createdAt, refundFollowedMs))
  );
}
