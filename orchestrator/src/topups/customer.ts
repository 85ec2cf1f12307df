import type { UserId } from '@computefabric/protocol/ids';
import { findUser } from '../accounts/user.store.ts';
import { findBillingAccount, keepCustomer, lockBillingAccount } from './billing-account.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';

/** A user's customer at Stripe, made on first use. Two at once make one: the cause is the user. */
export async function customerOf(
  { db, stripe }: Pick<TopUpDeps, 'db' | 'stripe'>,
  userId: UserId,
): Promise<string> {
  const known = (await findBillingAccount(db, userId))?.customerId;
  if (known) return known;
  const { email } = await findUser(db, userId);
  const customerId = await stripe.createCustomer({ userId, email });
  await db.transaction((tx) => lockBillingAccount(tx, userId));
  return await keepCustomer(db, userId, customerId);
}
