import type { UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { notify } from '../background/signals.ts';
import {
  type BillingAccountRow,
  changeBillingAccount,
  findBillingAccount,
  lockBillingAccount,
} from './billing-account.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';

/** Switches the automatic top-up on, also after it stopped by itself, or off. @throws AppError `billing/card-required` */
export async function setAutoTopUp(
  { db }: TopUpDeps,
  userId: UserId,
  auto: { thresholdMicros: bigint; amountMicros: bigint; ceilingMicros: bigint } | null,
): Promise<BillingAccountRow | null> {
  await db.transaction(async (tx) => {
    const { cardId } = await lockBillingAccount(tx, userId);
    if (auto && cardId === null) {
      throw new AppError('billing/card-required', { message: 'Save a card first: the top-up charges it.' });
    }
    await changeBillingAccount(tx, userId, {
      autoThresholdMicros: auto?.thresholdMicros ?? null,
      autoAmountMicros: auto?.amountMicros ?? null,
      autoCeilingMicros: auto?.ceilingMicros ?? null,
      autoFailures: 0,
      autoNotBefore: null,
      autoPausedBecause: null,
    });
    await notify(tx, 'cf_payments', userId);
  });
  return await findBillingAccount(db, userId);
}
