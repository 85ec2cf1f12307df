import type { Tx } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { notify } from '../background/signals.ts';
import { postTransfers } from '../ledger/post-transfers.ts';
import { wholeCents } from '../stripe/cents.ts';
import { findPayoutAccount } from './payout-account.store.ts';
import type { PayoutSettings } from './payout-deps.ts';
import { insertTransferPayout, type PayoutRow } from './payout.store.ts';
import { takePayable } from './take-payable.ts';

/**
 * Takes money out of what an owner may be paid and puts it on its way; Stripe hears of it afterwards, and what it does
 * not take comes back. Less than a cent stays.
 *
 * @param wanted.amountMicros whole cents; null is all
 * @param wanted.leastMicros less than this is not sent
 * @throws AppError `payout/account-incomplete`, `payout/below-minimum`, `payout/not-enough` or `payout/under-way`
 * @throws InvariantError when a decision about a dispute took the money in the same moment: to be tried again.
 */
export async function createPayout(
  tx: Tx,
  settings: PayoutSettings,
  wanted: { userId: UserId; amountMicros: bigint | null; leastMicros: bigint },
): Promise<PayoutRow> {
  const { userId, leastMicros } = wanted;
  const account = await findPayoutAccount(tx, userId);
  if (!account?.accountId || !account.takesTransfers) throw new AppError('payout/account-incomplete');
  const { micros, transfers, payable, inTransit } = await takePayable(tx, userId, settings);
  const most = wholeCents(micros);
  const amountMicros = wanted.amountMicros ?? most;
  const details = { payable_micros: String(most), minimum_micros: String(leastMicros) };
  if (amountMicros > most) throw new AppError('payout/not-enough', { details });
  if (amountMicros === 0n || amountMicros < leastMicros) {
    throw new AppError('payout/below-minimum', { details });
  }
  const row = await insertTransferPayout(tx, { userId, amountMicros, accountId: account.accountId });
  if (!row) throw new AppError('payout/under-way');
  await postTransfers(tx, [
    ...transfers,
    { id: `payout:${row.id}`, kind: 'payout', from: payable, to: inTransit, amountMicros },
  ]);
  await notify(tx, 'cf_payments', row.id);
  return row;
}
