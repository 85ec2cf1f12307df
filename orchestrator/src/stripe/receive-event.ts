import type { Db } from '@computefabric/db/client';
import { notify } from '../background/signals.ts';
import { insertEvent } from './event.store.ts';
import type { StripeGateway } from './stripe-gateway.ts';

/**
 * Takes a webhook: checked, kept by its event id, and nothing else. Whatever it leads to happens from the
 * table, so that Stripe has its answer at once and an event that comes again changes nothing.
 *
 * @returns whether it is new
 * @throws AppError `stripe/bad-signature`
 */
export async function receiveEvent(
  { db, stripe }: { db: Db; stripe: StripeGateway },
  body: Buffer,
  signature: string | undefined,
): Promise<boolean> {
  const event = stripe.readEvent(body, signature);
  return await db.transaction(async (tx) => {
    const isNew = await insertEvent(tx, event);
    if (isNew) await notify(tx, 'cf_stripe', event.id);
    return isNew;
  });
}
