import { type EndReason, endReasonRow } from '@computefabric/protocol/end-reason';

export interface MeteredSpan {
  /** When the orchestrator accepted that the program runs; null when it never did. */
  startedAt: Date | null;
  /** When it accepted that the program has ended; null when it never did. */
  exitedAt: Date | null;
  /** Now, on the same (database) clock. */
  now: Date;
  timeLimitSeconds: number;
}

/** Milliseconds of running by the orchestrator's own clock, never longer than the time limit. */
export function meteredMs({ startedAt, exitedAt, now, timeLimitSeconds }: MeteredSpan): number {
  if (!startedAt) return 0;
  const ms = (exitedAt ?? now).getTime() - startedAt.getTime();
  return Math.min(Math.max(ms, 0), timeLimitSeconds * 1_000);
}

/** What of a try is paid for: all of its metered time or, by the reason for its end, nothing. */
export function billedMs(reason: EndReason, span: MeteredSpan): number {
  return endReasonRow(reason).billable ? meteredMs(span) : 0;
}
