import type { Tx } from '@computefabric/db/client';
import type { JobId, UserId } from '@computefabric/protocol/ids';
import { userAccount } from './chart.ts';
import { postTransfers } from './post-transfers.ts';

/** The most that a job may cost, micros. */
export interface Hold {
  jobId: JobId;
  amountMicros: bigint;
}

/**
 * Reserves the most that a job may cost: available → held. Once per job, whatever is repeated.
 *
 * @throws AppError `ledger/insufficient-funds`
 */
export async function placeHold(tx: Tx, { userId, ...hold }: Hold & { userId: UserId }): Promise<void> {
  await placeHolds(tx, userId, [hold]);
}

/**
 * The same for several jobs of a user: all of their holds or none.
 *
 * @throws AppError `ledger/insufficient-funds`
 */
export async function placeHolds(tx: Tx, userId: UserId, holds: readonly Hold[]): Promise<void> {
  const some = holds.filter(({ amountMicros }) => amountMicros > 0n); // a free job has nothing to reserve
  if (some.length === 0) return;
  const from = await userAccount(tx, 'renter_available', userId);
  const to = await userAccount(tx, 'renter_held', userId);
  await postTransfers(
    tx,
    some.map((hold) => ({ id: `hold:${hold.jobId}`, kind: 'hold' as const, from, to, ...hold })),
  );
}
