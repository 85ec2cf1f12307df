import type {
  DisputeBlame,
  DisputeOutcome,
  DisputeReason,
  DisputeState,
} from '@computefabric/protocol/dispute';

/** The signed receipt of an ended job, as its page shows it. */
export interface ReceiptView {
  /** Counts the receipts of this job: a refund makes a new one. */
  number: number;
  issuedAt: Date;
  costMicros: bigint;
  feeMicros: bigint;
  earnedMicros: bigint;
  refundedMicros: bigint;
  totalMicros: bigint;
  holdMicros: bigint;
  releasedMicros: bigint;
  /** Metered and not billed. */
  freeMs: number;
  runSeconds: number;
  waitSeconds: number;
  logSha256: string;
  /** The market's key that signed it. */
  signedWith: string;
  estimate: EstimateView | null;
  tries: ReceiptTryView[];
}

/** What to expect of a job, as ranges. */
export interface EstimateView {
  costLowMicros: bigint;
  costHighMicros: bigint;
  runLowSeconds: number;
  runHighSeconds: number;
  waitLowSeconds: number | null;
  waitHighSeconds: number | null;
  /** Of one's own ended runs of the same program; 0 is from the limits alone. */
  pastRuns: number;
}

export interface ReceiptTryView {
  id: string;
  number: number;
  machineName: string;
  gpus: { uuid: string; name: string; simulated: boolean }[];
  imageDigest: string | null;
  /** What follows from its end. */
  endMessage: string;
  fault: 'nobody' | 'renter' | 'provider' | 'platform';
  microsPerHour: bigint;
  meteredMs: number;
  billedMs: number;
  costMicros: bigint;
  feeMicros: bigint;
  earnedMicros: bigint;
  logSha256: string;
  files: { path: string; sizeBytes: number; sha256: string }[];
  /** The machine signed its running time, too. */
  signedByMachine: boolean;
}

/** A contested job, as the renter sees it. */
export interface DisputeItem {
  id: string;
  state: DisputeState;
  reason: DisputeReason;
  /** The renter's words; null for the owner of the machine. */
  message: string | null;
  refundMicros: bigint;
  createdAt: Date;
  decisions: DisputeDecisionItem[];
  /** What the market's own records said, as sentences; null for the owner of the machine. */
  record: string[] | null;
}

export interface DisputeDecisionItem {
  outcome: DisputeOutcome;
  blame: DisputeBlame;
  /** The rule that decided; null when the operator did. */
  rule: string | null;
  explanation: string;
  refundMicros: bigint;
  at: Date;
}
