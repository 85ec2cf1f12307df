import type { UserId } from '@computefabric/protocol/ids';
import type { JobState } from '@computefabric/protocol/job-state';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import type { Availability, ProviderState } from '@computefabric/protocol/provider-state';
import type { JobListItem } from './job-view.ts';

/** Who is looking. Everything read from the database is read for this person. */
export interface Viewer {
  userId: UserId;
  name: string;
  email: string;
  /** Local mode: this browser runs on the operator's own machine and needs no sign-in. */
  isLocalOperator: boolean;
}

export interface BalanceView {
  /** Nobody is charged: no payment provider is configured. */
  playMoney: boolean;
  availableMicros: bigint;
  /** Reserved for unfinished jobs. */
  heldMicros: bigint;
  earnedMicros: bigint;
  /** What all running jobs cost together. */
  burnPerHourMicros: bigint;
}

export interface OverviewView {
  runningNow: number;
  burnPerHourMicros: bigint;
  spentThisMonthMicros: bigint;
  jobsThisMonth: number;
  queued: number;
  oldestQueuedAt: Date | null;
  failuresToday: number;
  failuresYesterday: number;
  attention: AttentionItem[];
  recentJobs: JobListItem[];
  hasUnfinished: boolean;
}

/** Something that a person should look at, with the page where to. */
export interface AttentionItem {
  key: string;
  tone: 'attention' | 'danger';
  title: string;
  detail: string;
  href: string;
}

/** A machine as its owner sees it. */
export interface MachineView {
  id: string;
  name: string;
  state: ProviderState;
  /** What the owner wants of it, and until when. */
  availability: Availability;
  availabilityReason: string;
  /** What the owner's rules on the machine said last; null when its agent does not tell. */
  ownerNotice: OwnerNotice | null;
  availableAt: Date | null;
  vacateBy: Date | null;
  awayFrom: Date | null;
  awayUntil: Date | null;
  /** Of its latest tries, the part that it brought to their end: 0 to 1. */
  reliability: number;
  agentVersion: string;
  lastSeenAt: Date | null;
  cpus: number;
  memoryMib: number;
  gpus: { id: string; name: string; memoryMib: number; simulated: boolean; jobId: string | null }[];
  pricePerGpuHourMicros: bigint;
  pricePerCpuHourMicros: bigint;
  running: {
    jobId: string;
    image: string;
    state: JobState;
    startedAt: Date | null;
    /** The owner submitted it themselves, so its page is theirs to open. */
    isOwn: boolean;
  }[];
  earnedMicros: bigint;
  joinedAt: Date;
}
