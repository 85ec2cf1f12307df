import type { QuoteId } from '@computefabric/protocol/ids';
import type { WaitingView } from './job-view.ts';
import type { DraftErrors } from './job-draft.ts';
import type { EstimateView } from './receipt-view.ts';

/** What a job would meet if it were submitted now. */
export interface PlanView {
  /** How many are submitted; the offers are for one of them, the most that it costs is of all. */
  jobs: number;
  offers: {
    providerId: string;
    machineName: string;
    /** `2 × RTX 4090, 24 GB`, or the free cores of a machine without GPUs. */
    hardware: string;
    simulated: boolean;
    microsPerHour: bigint;
  }[];
  holdMicros: bigint;
  timeLimitSeconds: number;
  balanceMicros: bigint;
  affordable: boolean;
  playMoney: boolean;
  waiting: WaitingView | null;
  /** Of one job; submitted with it, what was expected comes onto its receipt. */
  quoteId: QuoteId | null;
  estimate: PlanEstimate | null;
}

/** What to expect of one job if it were submitted now. */
export interface PlanEstimate extends EstimateView {
  /** Null: it cannot be said. */
  finishEarliest: Date | null;
  finishLatest: Date | null;
}

/** A plan, or what must be put right before there can be one. */
export type PlanResult = { kind: 'plan'; plan: PlanView } | { kind: 'refused'; errors: DraftErrors };
