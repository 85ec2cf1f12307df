import type { UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { findUser } from '../accounts/user.store.ts';
import { findPayoutAccount, keepAccount, noteAccount } from './payout-account.store.ts';
import type { TransferDeps } from './payout-deps.ts';
import { markArrived } from './payout.store.ts';

/**
 * The page of Stripe's on which an owner says who they are and where their money goes. The account there is made on
 * first use and never replaced, so that nobody who gets hold of a key can have earnings sent elsewhere.
 *
 * @param country two capital letters; counts the first time
 * @throws AppError `stripe/unavailable` or `stripe/refused`
 */
export async function setUpPayouts(deps: TransferDeps, userId: UserId, country: string): Promise<string> {
  const { db, stripe, settings } = deps;
  const accountId = await accountOf(deps, userId, country);
  const url = await stripe.openOnboarding({
    accountId,
    returnUrl: `${settings.returnUrl}?onboarding=done`,
    refreshUrl: `${settings.returnUrl}?onboarding=again`,
  });
  // They may have been there before, and no event may have come.
  await syncPayoutAccount({ db, stripe }, userId);
  return url;
}

async function accountOf({ db, stripe }: TransferDeps, userId: UserId, country: string): Promise<string> {
  const known = (await findPayoutAccount(db, userId))?.accountId;
  if (known) return known;
  const { email } = await findUser(db, userId);
  return await keepAccount(db, userId, await stripe.createPayoutAccount({ userId, email, country }));
}

/** Asks Stripe what an owner's account can do, and how much of its money the bank has. */
export async function syncPayoutAccount(
  { db, stripe }: Pick<TransferDeps, 'db' | 'stripe'>,
  userId: UserId,
): Promise<void> {
  const accountId = (await findPayoutAccount(db, userId))?.accountId;
  if (!accountId) return;
  const state = await stripe.readPayoutAccount(accountId);
  if (state.accountId !== accountId) throw new AppError('stripe/refused', { internal: 'another account' });
  const { bankedMicros, failure } = await stripe.readBanked(accountId);
  await noteAccount(db, userId, { ...state, bankedMicros, bankFailure: failure });
  await markArrived(db, userId);
}
