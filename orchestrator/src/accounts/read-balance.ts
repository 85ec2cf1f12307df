import type { Db, Tx } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { CURRENCY } from '@computefabric/protocol/money';
import type { Balance } from '@computefabric/protocol/user-api/account';
import { balanceMicros } from '../ledger/chart.ts';

/** A user's money: to spend, reserved, and earned by their machines and not paid out. */
export async function readBalance(db: Db | Tx, userId: UserId, playMoney: boolean): Promise<Balance> {
  return {
    currency: CURRENCY,
    play_money: playMoney,
    available_micros: String(await balanceMicros(db, 'renter_available', userId)),
    held_micros: String(await balanceMicros(db, 'renter_held', userId)),
    earned_micros: String(
      (await balanceMicros(db, 'provider_held_back', userId)) +
        (await balanceMicros(db, 'provider_payable', userId)),
    ),
  };
}
