import type { Tx } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { marketAccount, userAccount } from './chart.ts';
import { findTransfer } from './ledger.store.ts';
import { postTransfers } from './post-transfers.ts';

/**
 * Gives a new account its play money, once: later calls change nothing, also when the amount in force has
 * changed since. Only for markets without a payment provider.
 */
export async function grantPlayMoney(tx: Tx, userId: UserId, amountMicros: bigint): Promise<void> {
  const id = `grant:${userId}:welcome`;
  if (amountMicros === 0n || (await findTransfer(tx, id))) return;
  await postTransfers(tx, [
    {
      id,
      kind: 'grant',
      from: await marketAccount(tx, 'promotions'),
      to: await userAccount(tx, 'renter_available', userId),
      amountMicros,
    },
  ]);
}
