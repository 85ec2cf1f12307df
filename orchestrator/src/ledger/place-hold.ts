import type { Tx } from '@computefabric/db/client';
import type { JobId, UserId } from '@computefabric/protocol/ids';
import type { FreezeCause } from '@computefabric/protocol/top-up-state';
import { AppError } from '@computefabric/runtime/errors';
import { balanceMicros, userAccount } from './chart.ts';
import { postTransfers, type Transfer } from './post-transfers.ts';
import { findSpendingTerms, lockSpendingTerms } from './spending.store.ts';

/** The most that a job may cost, micros. */
export interface Hold {
  jobId: JobId;
  amountMicros: bigint;
}

/**
 * Reserves the most that a job may cost: available → held. Once per job, whatever is repeated. Where cards are
 * charged for each job, what the balance lacks is drawn on the account's credit first.
 *
 * @throws AppError `ledger/insufficient-funds`, `billing/account-frozen`, `billing/card-required` or
 *   `billing/credit-limit`
 */
export async function placeHold(tx: Tx, { userId, ...hold }: Hold & { userId: UserId }): Promise<void> {
  await placeHolds(tx, userId, [hold]);
}

/**
 * The same for several jobs of a user: all of their holds or none.
 *
 * @throws AppError like `placeHold`
 */
export async function placeHolds(tx: Tx, userId: UserId, holds: readonly Hold[]): Promise<void> {
  const some = holds.filter(({ amountMicros }) => amountMicros > 0n); // a free job has nothing to reserve
  if (some.length === 0) return;
  const terms = await findSpendingTerms(tx, userId);
  if (terms?.frozenBy)
    throw new AppError('billing/account-frozen', { message: frozenBecause[terms.frozenBy] });
  const from = await userAccount(tx, 'renter_available', userId);
  const to = await userAccount(tx, 'renter_held', userId);
  const transfers: Transfer[] = some.map((hold) => ({
    id: `hold:${hold.jobId}`,
    kind: 'hold',
    from,
    to,
    ...hold,
  }));
  if (terms?.mode === 'per_job') transfers.push(...(await drawCredit(tx, userId, some)));
  await postTransfers(tx, transfers);
}

const frozenBecause: Record<FreezeCause, string> = {
  dispute:
    'A card holder has claimed a payment of this account back. Jobs can be submitted when the bank has decided.',
  unpaid: 'This account owes money that its card was refused for. Pay it, or save another card.',
};

/** What the balance lacks for these holds, as a debt within the credit limit; none when it lacks nothing. */
async function drawCredit(tx: Tx, userId: UserId, holds: readonly Hold[]): Promise<Transfer[]> {
  const terms = await lockSpendingTerms(tx, userId);
  const needed = holds.reduce((sum, { amountMicros }) => sum + amountMicros, 0n);
  const missing = needed - (await balanceMicros(tx, 'renter_available', userId));
  const [first] = holds;
  if (missing <= 0n || !first) return [];
  if (!terms || terms.cardId === null) throw new AppError('billing/card-required');
  const debt = -(await balanceMicros(tx, 'renter_debt', userId));
  if (debt + missing > terms.creditLimitMicros) {
    throw new AppError('billing/credit-limit', {
      details: {
        credit_limit_micros: String(terms.creditLimitMicros),
        needed_micros: String(debt + missing),
      },
    });
  }
  return [
    {
      id: `debt:${first.jobId}`,
      kind: 'debt',
      from: await userAccount(tx, 'renter_debt', userId),
      to: await userAccount(tx, 'renter_available', userId),
      amountMicros: missing,
      jobId: first.jobId,
    },
  ];
}
