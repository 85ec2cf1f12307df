import type { EndReason, ReportedEndReason } from '@computefabric/protocol/end-reason';
import type { StopReason } from '@computefabric/protocol/lease-state';
import { elapsedMs, type MeteredSpan } from '../metering/usage.ts';

interface ReportedEnd {
  reported: ReportedEndReason;
  exitCode: number | null;
  /** Why we wanted the try to stop; null when nobody did. */
  stopReason: StopReason | null;
  /** When the machine was told so; null when it was not. */
  stopSeenAt: Date | null;
  /** The saved state that it was to begin with turned out to be damaged. */
  stateDamaged?: boolean;
  span: MeteredSpan;
}

/** A machine may stop a program this much before our meter says that its time is up. */
const timeLimitSlackMs = 5_000;

/** What a try that was stopped at our wish has ended by. */
const endOfStop = {
  cancelled: 'cancelled',
  'time-limit': 'time-limit',
  preempted: 'preempted',
  drained: 'provider-left',
  superseded: 'superseded',
  'peer-lost': 'peer-lost',
  'peer-ended': 'peer-ended',
  'funds-exhausted': 'funds-exhausted',
} as const satisfies Record<StopReason, EndReason>;

/**
 * Believes a machine's reason only as far as our own records bear it out, because the reason decides who
 * pays: what cannot be so is the machine's own fault, free for the renter and tried again.
 */
export function judgeEnd({
  reported,
  exitCode,
  stopReason,
  stopSeenAt,
  stateDamaged = false,
  span,
}: ReportedEnd): EndReason {
  switch (reported) {
    case 'exited-zero':
    case 'exited-nonzero':
      if (!span.startedAt || exitCode === null) return 'provider-error';
      if (exitCode === 0) return 'exited-zero';
      // A program that ends in error after we had it stopped was stopped: the machine earns nothing by calling
      // a move that is free for the renter a failure of the renter's.
      if (stopReason && stopSeenAt && (span.exitedAt ?? span.now) >= stopSeenAt) return endOfStop[stopReason];
      return 'exited-nonzero';
    case 'out-of-memory':
      return span.startedAt ? 'out-of-memory' : 'provider-error';
    case 'time-limit':
      return elapsedMs(span) >= span.timeLimitSeconds * 1_000 - timeLimitSlackMs
        ? 'time-limit'
        : 'provider-error';
    case 'cancelled':
      return stopReason ? endOfStop[stopReason] : 'provider-left';
    case 'image-unavailable':
    case 'start-failed':
      return span.startedAt ? 'provider-error' : reported;
    case 'provider-error':
      // What we gave it to begin with was broken: our failure, and none of the machine's.
      return stateDamaged && !span.startedAt ? 'platform-error' : reported;
    case 'provider-left':
      return reported;
  }
}
