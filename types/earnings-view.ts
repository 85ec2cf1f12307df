import type { PayoutMethod, PayoutSchedule, PayoutState } from '@computefabric/protocol/payout-state';
import type { PayoutObstacle } from '@computefabric/protocol/user-api/earnings';
import type { DisputeItem } from './receipt-view.ts';

/** What an owner's machines have earned, and where it is. */
export interface EarningsView {
  playMoney: boolean;
  heldMicros: bigint;
  payableMicros: bigint;
  /** Of contested jobs. */
  frozenMicros: bigint;
  inTransitMicros: bigint;
  /** Taken back after it was paid out. */
  owedMicros: bigint;
  paidMicros: bigint;
  todayMicros: bigint;
  weekMicros: bigint;
  monthMicros: bigint;
  machines: { id: string; name: string; monthMicros: bigint }[];
  windowSeconds: number;
  firstJobs: number;
  settledJobs: number;
  nextReleaseAt: Date | null;
  obstacle: PayoutObstacle | null;
  account: PayoutAccountItem;
  payouts: PayoutItem[];
  disputes: OwnerDisputeItem[];
}

export interface PayoutAccountItem {
  configured: boolean;
  state: 'none' | 'incomplete' | 'ready' | 'restricted';
  missing: string[];
  bankFailure: string | null;
  schedule: PayoutSchedule;
  minimumMicros: bigint;
  leastMinimumMicros: bigint;
  nextPayoutAt: Date | null;
}

export interface PayoutItem {
  id: string;
  method: PayoutMethod;
  state: PayoutState;
  amountMicros: bigint;
  returnedMicros: bigint;
  /** How the operator paid it. */
  reference: string | null;
  failure: string | null;
  createdAt: Date;
}

/** A contested job on one of the owner's machines; the renter's words are not theirs to read. */
export interface OwnerDisputeItem
  extends Pick<DisputeItem, 'id' | 'state' | 'reason' | 'createdAt' | 'decisions'> {
  jobName: string;
}
