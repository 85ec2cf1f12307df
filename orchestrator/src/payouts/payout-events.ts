import { payoutId } from '@computefabric/protocol/ids';
import type { StripeEventHandler, StripeEventHandlers } from '../stripe/dispatch-events.worker.ts';
import { followPayout } from './follow-payout.ts';
import { findUserOfAccount } from './payout-account.store.ts';
import type { TransferDeps } from './payout-deps.ts';
import { findPayoutOfTransfer } from './payout.store.ts';
import { syncPayoutAccount } from './set-up-payouts.ts';

/** What Stripe's events about owners call for. Each asks Stripe how the object stands now. */
export function payoutEventHandlers(deps: TransferDeps): StripeEventHandlers {
  const { db, stripe, log } = deps;
  const syncAccount = async (accountId: string | null) => {
    const userId = accountId === null ? null : await findUserOfAccount(db, accountId);
    if (userId !== null) await syncPayoutAccount(deps, userId);
  };
  const account: StripeEventHandler = (accountId) => syncAccount(accountId);
  /** From an owner's account to their bank. Those of the market's own account are none of ours. */
  const bank: StripeEventHandler = (_payoutId, accountId) => syncAccount(accountId);
  const transfer: StripeEventHandler = async (transferId) => {
    const known = await findPayoutOfTransfer(db, transferId);
    const cause = payoutId.safeParse(known ?? (await stripe.readTransfer(transferId)).cause);
    if (cause.success) await followPayout(deps, cause.data);
    else log.warn({ transfer: transferId }, 'Stripe made a transfer that is not of this market');
  };
  return {
    'account.updated': account,
    'account.application.deauthorized': (_id, accountId) => syncAccount(accountId),
    'capability.updated': (_id, accountId) => syncAccount(accountId),
    'transfer.created': transfer,
    'transfer.updated': transfer,
    'transfer.reversed': transfer,
    'payout.paid': bank,
    'payout.failed': bank,
    'payout.updated': bank,
  };
}
