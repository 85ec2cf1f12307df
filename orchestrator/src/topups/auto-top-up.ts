import type { UserId } from '@computefabric/protocol/ids';
import { balanceMicros } from '../ledger/chart.ts';
import { findLowBalances, lockBillingAccount } from './billing-account.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';
import { insertCharge } from './top-up.store.ts';

const batch = 100;

/** Begins the automatic top-ups that are due; gives how many. The worker charges the cards. */
export async function beginAutoTopUps({ db }: TopUpDeps): Promise<number> {
  const due = await findLowBalances(db, batch);
  let begun = 0;
  for (const userId of due) if (await begin(db, userId)) begun += 1;
  return begun;
}

async function begin(db: TopUpDeps['db'], userId: UserId): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const account = await lockBillingAccount(tx, userId);
    const { autoThresholdMicros, autoAmountMicros, cardId } = account;
    if (autoThresholdMicros === null || autoAmountMicros === null || cardId === null) return false;
    if ((await balanceMicros(tx, 'renter_available', userId)) >= autoThresholdMicros) return false;
    const charge = { userId, method: 'automatic' as const, amountMicros: autoAmountMicros, cardId };
    return (await insertCharge(tx, charge)) !== null;
  });
}
