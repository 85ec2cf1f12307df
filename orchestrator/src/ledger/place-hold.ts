import type { Tx } from '@computefabric/db/client';
import type { JobId, UserId } from '@computefabric/protocol/ids';
import { userAccount } from './chart.ts';
import { postTransfers } from './post-transfers.ts';

/**
 * Reserves the most that a job may cost: available → held. Once per job, whatever is repeated.
 *
 * @throws AppError `ledger/insufficient-funds`
 */
export async function placeHold(
  tx: Tx,
  { jobId, userId, amountMicros }: { jobId: JobId; userId: UserId; amountMicros: bigint },
): Promise<void> {
  if (amountMicros === 0n) return; // a free job has nothing to reserve
  await postTransfers(tx, [
    {
      id: `hold:${jobId}`,
      kind: 'hold',
      from: await userAccount(tx, 'renter_available', userId),
      to: await userAccount(tx, 'renter_held', userId),
      amountMicros,
      jobId,
    },
  ]);
}
