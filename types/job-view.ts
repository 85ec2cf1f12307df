import type { CostLimitAction } from '@computefabric/protocol/cost-limit';
import type { EndReason } from '@computefabric/protocol/end-reason';
import type { JobState } from '@computefabric/protocol/job-state';
import type { LeaseState, TaskState } from '@computefabric/protocol/lease-state';
import type { PaymentState } from '@computefabric/protocol/payment-state';
import type { CostReading } from './cost-view.ts';
import type { DisputeItem } from './receipt-view.ts';

/** A job as lists show it. */
export interface JobListItem {
  id: string;
  name: string;
  image: string;
  state: JobState;
  isFinal: boolean;
  /** Belongs to an array or a gang. */
  isMember: boolean;
  /** One sentence about how it ended; null while it has not. */
  endSentence: string | null;
  exitCode: number | null;
  /** What it runs on, or asked for: `1 × RTX 4090`, `2 × GPU ≥ 24 GB`, `2 CPU cores`. */
  hardware: string;
  /** The hardware above includes GPUs that are only pretended. */
  simulated: boolean;
  submittedAt: Date;
  /** When the program began in its latest try; null when it has not. */
  startedAt: Date | null;
  /** When it ended; null while it runs. */
  exitedAt: Date | null;
  finishedAt: Date | null;
  cost: CostReading;
}

export interface JobListPage {
  jobs: JobListItem[];
  /** Give this back to get the next page; null on the last. */
  nextCursor: string | null;
  /** Something on the page can still change by itself. */
  hasUnfinished: boolean;
}

/** One job, whole, as its page shows it. */
export interface JobView extends JobListItem {
  /** What the program was given, as one would type it; null runs the image's own command. */
  commandLine: string | null;
  env: { name: string; value: string }[];
  /** What was asked for, in the words of the form. */
  terms: { name: string; value: string }[];
  usesGpus: boolean;
  maxPricePerHourMicros: bigint;
  endReason: EndReason | null;
  cancelRequestedAt: Date | null;
  /** Metered milliseconds that are paid for. */
  billedMs: number;
  holdMicros: bigint;
  /** Its own limit; null is none. */
  maxCostMicros: bigint | null;
  /** What happens to its program as that comes near. */
  onCostLimit: CostLimitAction;
  paymentState: PaymentState;
  /** The books of the job are done: what it cost is paid and the rest is given back. */
  isSettled: boolean;
  /** Whether the renter contests it. */
  dispute: DisputeItem | null;
  playMoney: boolean;
  attempts: AttemptView[];
  events: JobEventView[];
  artifacts: ArtifactView[];
  /** Where its state is kept in the container; null for a job that keeps none. */
  stateDirectory: string | null;
  /** State that is kept for the next try, newest first. */
  checkpoints: CheckpointItem[];
  timeline: Stretch[];
}

/** Saved state of a job. */
export interface CheckpointItem {
  id: string;
  attempt: number;
  takenAt: Date;
  sizeBytes: number;
  files: number;
  isDamaged: boolean;
  /** The next try begins with it. */
  isNext: boolean;
}

/** One try of a job on one machine. */
export interface AttemptView {
  id: string;
  number: number;
  state: LeaseState;
  taskState: TaskState | null;
  /** Of the image pull, in bytes; the total is null until it is known. */
  progress: { doneBytes: number; totalBytes: number | null } | null;
  machineName: string;
  gpus: { name: string; simulated: boolean }[];
  microsPerHour: bigint;
  offeredAt: Date;
  acceptedAt: Date | null;
  startedAt: Date | null;
  exitedAt: Date | null;
  endedAt: Date | null;
  endReason: EndReason | null;
  exitCode: number | null;
  billedMs: number;
  costMicros: bigint;
}

export interface JobEventView {
  seq: number;
  at: Date;
  type: string;
  message: string;
}

export interface ArtifactView {
  id: string;
  /** Relative to /outputs. */
  path: string;
  attempt: number;
  sizeBytes: number;
  sha256: string;
}

export type StretchState = 'done' | 'current' | 'ahead' | 'went-wrong' | 'cancelled' | 'skipped';

/** One stretch of a job's life: what is being waited for, for how long, and whether money moves. */
export interface Stretch {
  key: 'queued' | 'matched' | 'image' | 'running' | 'saving';
  label: string;
  /** What is going on, or went on, in a few words. */
  note: string | null;
  state: StretchState;
  billed: boolean;
  startedAt: Date | null;
  endedAt: Date | null;
}

/** Why a queued job has no machine yet. */
export interface WaitingView {
  position: number;
  machines: number;
  summary: string;
  filters: { filter: string; excluded: number; sole: number; sentence: string }[];
  /** At the latest, when no other job comes before it and nothing ends early; null when that cannot be said. */
  expectedStart: Date | null;
  suggestion: string | null;
}
