import type { EndReason, ReportedEndReason } from '@computefabric/protocol/end-reason';
import { type MeteredSpan, meteredMs } from '../metering/usage.ts';

interface ReportedEnd {
  reported: ReportedEndReason;
  exitCode: number | null;
  /** The renter or the market asked for the stop. */
  stopWanted: boolean;
  span: MeteredSpan;
}

/** A machine may stop a program this much before our meter says that its time is up. */
const timeLimitSlackMs = 5_000;

/**
 * Believes a machine's reason only as far as our own records bear it out, because the reason decides who
 * pays: what cannot be so is the machine's own fault, free for the renter and tried again.
 */
export function judgeEnd({ reported, exitCode, stopWanted, span }: ReportedEnd): EndReason {
  switch (reported) {
    case 'exited-zero':
    case 'exited-nonzero':
      if (!span.startedAt || exitCode === null) return 'provider-error';
      return exitCode === 0 ? 'exited-zero' : 'exited-nonzero';
    case 'out-of-memory':
      return span.startedAt ? 'out-of-memory' : 'provider-error';
    case 'time-limit':
      return meteredMs(span) >= span.timeLimitSeconds * 1_000 - timeLimitSlackMs
        ? 'time-limit'
        : 'provider-error';
    case 'cancelled':
      return stopWanted ? 'cancelled' : 'provider-left';
    case 'image-unavailable':
    case 'start-failed':
      return span.startedAt ? 'provider-error' : reported;
    case 'provider-error':
    case 'provider-left':
      return reported;
  }
}
