import type { Tx } from '@computefabric/db/client';
import type { AccountId, UserId } from '@computefabric/protocol/ids';
import { lesserOf } from '@computefabric/protocol/money';
import { invariant } from '@computefabric/runtime/invariant';
import { userAccount } from '../ledger/chart.ts';
import { findAccount } from '../ledger/ledger.store.ts';
import type { Transfer } from '../ledger/post-transfers.ts';
import { lockBillingAccount } from '../topups/billing-account.store.ts';
import { findHoldings, releasableMicros } from './holding.store.ts';
import type { PayoutSettings } from './payout-deps.ts';

export interface Payable {
  /** What may be paid out, after debts, micros. */
  micros: bigint;
  /** What has to be moved for it: earnings whose hold window is over, and debts, which come first. */
  transfers: Transfer[];
  payable: AccountId;
  inTransit: AccountId;
}

/**
 * Looks at what an owner may be paid, under the lock of their billing account: two payouts at once, and a payout and a
 * release, come one after the other. The caller posts the transfers, together with its own.
 */
export async function takePayable(tx: Tx, userId: UserId, settings: PayoutSettings): Promise<Payable> {
  await lockBillingAccount(tx, userId);
  const heldBack = await userAccount(tx, 'provider_held_back', userId);
  const payable = await userAccount(tx, 'provider_payable', userId);
  const debt = await userAccount(tx, 'provider_debt', userId);
  const inTransit = await userAccount(tx, 'provider_in_transit', userId);
  const before = {
    heldBack: await findAccount(tx, 'provider_held_back', userId),
    debt: await findAccount(tx, 'provider_debt', userId),
  };
  const [holding] = await findHoldings(tx, [userId], settings);
  invariant(holding && before.heldBack && before.debt, `the accounts of ${userId} exist once they were made`);
  const { heldMicros, keptMicros, owedMicros } = holding;
  const releasable = releasableMicros(holding);
  const debtMicros = lesserOf(owedMicros, releasable);
  const transfers: Transfer[] = [
    {
      // What was released before names the cause: a repeat releases nothing more.
      id: `mature:${userId}:${before.heldBack.debitsMicros}`,
      kind: 'mature',
      from: heldBack,
      to: payable,
      amountMicros: heldMicros > keptMicros ? heldMicros - keptMicros : 0n,
    },
    {
      id: `debt-paid:${userId}:${before.debt.creditsMicros}`,
      kind: 'debt-paid',
      from: payable,
      to: debt,
      amountMicros: debtMicros,
    },
  ];
  return {
    micros: releasable - debtMicros,
    transfers: transfers.filter(({ amountMicros }) => amountMicros > 0n),
    payable,
    inTransit,
  };
}
