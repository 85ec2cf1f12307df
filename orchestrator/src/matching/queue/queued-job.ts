import type { GroupId, JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import type { JobClass } from '@computefabric/protocol/job-class';
import type { JobNeeds } from '../machine-view.ts';

/** A job that waits for a machine. */
export interface QueuedJob {
  id: JobId;
  userId: UserId;
  needs: JobNeeds;
  image: string;
  /** 0 to 100; see `orderKey`. */
  priority: number;
  /** Since when it waits, ms of the database's clock. */
  queuedAtMs: number;
  /** Not to be placed for so long, ms. */
  backoffMs: number;
  /** The machine of its last try, when that try failed for the machine's sake. */
  avoid: ProviderId | null;
  /** The gang that it must start together with; `spoiledBy`: owners whose machines spoiled a rank of it before. */
  gang: { groupId: GroupId; size: number; spoiledBy: readonly UserId[] } | null;
  /** The state that its next try begins with, where some machine still has some of it. */
  savedState: SavedState | null;
}

export interface SavedState {
  bytes: number;
  /** Machines with some of it, and how many bytes; a few at most. */
  on: readonly { providerId: ProviderId; bytes: number }[];
}

/** A point of priority is worth this much waiting, so a low one waits longer and never for ever. */
const secondsPerPriority = 60;
/** A spot job lets on-demand jobs pass that came up to so much later. */
const spotHandicapSeconds = 3_600;

/**
 * Where a job stands among the jobs of its account: the lower goes first. Does not change while it waits, so
 * the order never has to be sorted again, and whatever comes later is behind it in the end.
 */
export function orderKey(job: Pick<QueuedJob, 'queuedAtMs' | 'priority' | 'needs'>): number {
  return job.queuedAtMs + orderSeconds({ class: job.needs.class, priority: job.priority }) * 1_000;
}

/** How much later than it came a job stands in the line; below 0 it stands earlier. */
export function orderSeconds(job: { class: JobClass; priority: number }): number {
  return (job.class === 'spot' ? spotHandicapSeconds : 0) - job.priority * secondsPerPriority;
}
