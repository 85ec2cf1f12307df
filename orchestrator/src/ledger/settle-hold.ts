import type { Tx } from '@computefabric/db/client';
import type { JobId, LeaseId, UserId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { marketAccount, userAccount } from './chart.ts';
import { postTransfers, type Transfer } from './post-transfers.ts';

/** One try that is paid for. Micros. */
export interface BilledLease {
  leaseId: LeaseId;
  ownerId: UserId;
  costMicros: bigint;
  /** The owner's part of the cost; the rest is the market's fee. */
  earnedMicros: bigint;
}

/**
 * Ends a job's hold: pays the owners and the market out of it and gives the rest back. A job without
 * anything billable gets all of it back. Once per job, whatever is repeated.
 *
 * @returns what the renter paid, micros
 * @throws InvariantError when the bill is larger than the hold: the meter promises that it is not.
 */
export async function settleHold(
  tx: Tx,
  job: { jobId: JobId; userId: UserId; holdMicros: bigint },
  billed: readonly BilledLease[],
): Promise<bigint> {
  const costMicros = billed.reduce((sum, lease) => sum + lease.costMicros, 0n);
  invariant(
    costMicros <= job.holdMicros,
    `${job.jobId} cost ${costMicros} of a hold of ${job.holdMicros} micros`,
  );
  const held = await userAccount(tx, 'renter_held', job.userId);
  const transfers: Transfer[] = [];
  for (const lease of billed) {
    // Kept until the hold window is over: `payouts/release-earnings.ts`.
    const to = await userAccount(tx, 'provider_held_back', lease.ownerId);
    const fee = await marketAccount(tx, 'platform_fees');
    const cause = { from: held, jobId: job.jobId, leaseId: lease.leaseId };
    const ids = `${job.jobId}:${lease.leaseId}`;
    transfers.push(
      { ...cause, id: `earn:${ids}`, kind: 'earn', to, amountMicros: lease.earnedMicros },
      {
        ...cause,
        id: `fee:${ids}`,
        kind: 'fee',
        to: fee,
        amountMicros: lease.costMicros - lease.earnedMicros,
      },
    );
  }
  transfers.push({
    id: `release:${job.jobId}`,
    kind: 'release',
    from: held,
    to: await userAccount(tx, 'renter_available', job.userId),
    amountMicros: job.holdMicros - costMicros,
    jobId: job.jobId,
  });
  await postTransfers(
    tx,
    transfers.filter((transfer) => transfer.amountMicros > 0n),
  );
  return costMicros;
}
