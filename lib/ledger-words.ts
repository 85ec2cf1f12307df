import type { AccountKind } from '@computefabric/db/schema/ledger-accounts';
import type { TransferKind } from '@computefabric/db/schema/ledger-transfers';

/** Accounts of a renter. What moves between them stays theirs. */
export const renterAccounts = [
  'renter_available',
  'renter_held',
  'renter_disputed',
  'renter_debt',
] as const satisfies readonly AccountKind[];

/** What a movement of money was for, in the words of the renter whose it is. */
export function ledgerTitle(kind: TransferKind): string {
  return titles[kind];
}

const titles: Record<TransferKind, string> = {
  grant: 'Credit from the market',
  hold: 'Reserved for the job',
  earn: 'Paid to the owner of the machine',
  fee: 'Fee of the market',
  release: 'Rest of the reservation, given back',
  'top-up': 'Paid in by card',
  'card-refund': 'Given back to the card',
  'stripe-fee': 'Fee of the payment provider',
  mature: 'Earnings become payable',
  payout: 'Payout set out',
  'payout-sent': 'Payout arrived',
  'payout-returned': 'Payout came back',
  dispute: 'Claimed back by the card holder',
  'dispute-won': 'Claim of the card holder refused',
  'dispute-lost': 'Claim of the card holder granted',
  refund: 'Refund for the job',
  'claw-back': 'Earnings taken back',
  debt: 'Owed to the market',
  'debt-paid': 'Debt paid',
  correction: 'Correction',
};

/** Whether money comes to a renter, leaves them, or stays theirs. */
export function ledgerEffect(from: AccountKind, to: AccountKind): 'in' | 'out' | 'within' {
  const isTheirs = (kind: AccountKind) => renterAccounts.some((own) => own === kind);
  if (isTheirs(from) && isTheirs(to)) return 'within';
  return isTheirs(to) ? 'in' : 'out';
}
