import type { Tx } from '@computefabric/db/client';
import type { AccountId, JobId, LeaseId, UserId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { marketAccount, userAccounts } from './chart.ts';
import { postTransfers, type Transfer } from './post-transfers.ts';

/** One try that is paid for. Micros. */
export interface BilledLease {
  leaseId: LeaseId;
  ownerId: UserId;
  costMicros: bigint;
  /** The owner's part of the cost; the rest is the market's fee. */
  earnedMicros: bigint;
}

/** A job whose hold ends, with the tries that are paid out of it. */
export interface SettledJob {
  jobId: JobId;
  userId: UserId;
  holdMicros: bigint;
  billed: readonly BilledLease[];
}

/** What a job's bills come to, micros. */
export function amountOf({ billed }: Pick<SettledJob, 'billed'>): bigint {
  return billed.reduce((sum, { costMicros }) => sum + costMicros, 0n);
}

/**
 * Ends the holds of these jobs, whatever their number, in one statement: pays the owners and the market out of them
 * and gives the rest back. A job without anything billable gets all of it back. Once per job, whatever is repeated.
 *
 * @throws InvariantError when a bill is larger than its hold: the meter promises that none is. Nothing is settled then.
 */
export async function settleHolds(tx: Tx, jobs: readonly SettledJob[]): Promise<void> {
  const renters = jobs.map(({ userId }) => userId);
  const owners = jobs.flatMap(({ billed }) => billed.map(({ ownerId }) => ownerId));
  const accounts = {
    held: await userAccounts(tx, 'renter_held', renters),
    available: await userAccounts(tx, 'renter_available', renters),
    // Kept until the hold window is over: `payouts/release-earnings.ts`.
    earned: await userAccounts(tx, 'provider_held_back', owners),
    fees: owners.length === 0 ? null : await marketAccount(tx, 'platform_fees'),
  };
  await postTransfers(
    tx,
    jobs.flatMap((job) => transfersOf(job, accounts)).filter(({ amountMicros }) => amountMicros > 0n),
  );
}

interface Accounts {
  held: ReadonlyMap<UserId, AccountId>;
  available: ReadonlyMap<UserId, AccountId>;
  earned: ReadonlyMap<UserId, AccountId>;
  fees: AccountId | null;
}

function transfersOf(job: SettledJob, { held, available, earned, fees }: Accounts): Transfer[] {
  const { jobId, userId, holdMicros, billed } = job;
  const cost = amountOf(job);
  invariant(cost <= holdMicros, `${jobId} cost ${cost} of a hold of ${holdMicros} micros`);
  const [from, back] = [held.get(userId), available.get(userId)];
  invariant(from && back, `${userId} has accounts`);
  const transfers: Transfer[] = [];
  for (const { leaseId, ownerId, costMicros, earnedMicros } of billed) {
    const to = earned.get(ownerId);
    invariant(to && fees, `${ownerId} and the market have accounts`);
    const cause = { from, jobId, leaseId };
    const ids = `${jobId}:${leaseId}`;
    transfers.push(
      { ...cause, id: `earn:${ids}`, kind: 'earn', to, amountMicros: earnedMicros },
      { ...cause, id: `fee:${ids}`, kind: 'fee', to: fees, amountMicros: costMicros - earnedMicros },
    );
  }
  const amountMicros = holdMicros - cost;
  transfers.push({ id: `release:${jobId}`, kind: 'release', from, to: back, amountMicros, jobId });
  return transfers;
}
