import type { Tx } from '@computefabric/db/client';
import type { PayoutId, UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { findUserId } from '../accounts/user.store.ts';
import { marketAccount, userAccount } from '../ledger/chart.ts';
import { postTransfers } from '../ledger/post-transfers.ts';
import type { PayoutSettings } from './payout-deps.ts';
import {
  insertManualPayout,
  insertReversal,
  lockPayout,
  movePayout,
  type PayoutRow,
} from './payout.store.ts';
import { takePayable } from './take-payable.ts';

/**
 * Writes down a payout that the operator has made by other means, out of what the owner may be paid.
 *
 * @throws AppError `payout/owner-not-found` or `payout/not-enough`
 */
export async function recordPayout(
  tx: Tx,
  settings: PayoutSettings,
  payout: { to: string; amountMicros: bigint; reference: string; recordedBy: UserId },
): Promise<PayoutRow> {
  const { to, amountMicros, reference, recordedBy } = payout;
  const ownerId = await findUserId(tx, to);
  if (ownerId === null) throw new AppError('payout/owner-not-found');
  const { micros, transfers, payable, inTransit } = await takePayable(tx, ownerId, settings);
  if (amountMicros > micros) {
    throw new AppError('payout/not-enough', { details: { payable_micros: String(micros) } });
  }
  const row = await insertManualPayout(tx, { userId: ownerId, amountMicros, reference, recordedBy });
  invariant(row, 'a fresh payout has a fresh id');
  await postTransfers(tx, [
    ...transfers,
    { id: `payout:${row.id}`, kind: 'payout', from: payable, to: inTransit, amountMicros },
    {
      id: `payout-sent:${row.id}`,
      kind: 'payout-sent',
      from: inTransit,
      to: await marketAccount(tx, 'manual_clearing'),
      amountMicros,
    },
  ]);
  return row;
}

/**
 * Undoes a payout that was written down by mistake, by a transfer of its own: the owner may be paid it again.
 *
 * @throws AppError `payout/not-found`, `payout/not-manual` or `payout/corrected`
 */
export async function correctPayout(tx: Tx, id: PayoutId, reason: string): Promise<PayoutRow> {
  const row = await lockPayout(tx, id);
  if (!row) throw new AppError('payout/not-found');
  if (row.method !== 'manual') throw new AppError('payout/not-manual');
  const { amountMicros, userId } = row;
  if (!(await movePayout(tx, id, 'reversed', { failureCode: 'corrected', failureMessage: reason }))) {
    throw new AppError('payout/corrected');
  }
  const cause = `correction:${id}`;
  await insertReversal(tx, { id: cause, payoutId: id, amountMicros });
  await postTransfers(tx, [
    {
      id: cause,
      kind: 'correction',
      from: await marketAccount(tx, 'manual_clearing'),
      to: await userAccount(tx, 'provider_payable', userId),
      amountMicros,
    },
  ]);
  const corrected = await lockPayout(tx, id);
  invariant(corrected, `payout ${id} exists`);
  return corrected;
}
