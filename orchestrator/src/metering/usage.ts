import { type EndReason, endReasonRow } from '@computefabric/protocol/end-reason';

export interface MeteredSpan {
  /** When the orchestrator accepted that the program runs; null when it never did. */
  startedAt: Date | null;
  /** When it accepted that the program has ended; null when it never did. */
  exitedAt: Date | null;
  /** Since when the machine has been silent beyond what the job allows; null while it is heard of. */
  silentAt: Date | null;
  /** Earlier silences of this kind while the program ran, ms. */
  silentMs: number;
  /** Now, on the same (database) clock. */
  now: Date;
  timeLimitSeconds: number;
}

/** Milliseconds from start to end by the orchestrator's own clock, silences included. */
export function elapsedMs({
  startedAt,
  exitedAt,
  now,
}: Pick<MeteredSpan, 'startedAt' | 'exitedAt' | 'now'>): number {
  if (!startedAt) return 0;
  return Math.max((exitedAt ?? now).getTime() - startedAt.getTime(), 0);
}

/** Milliseconds of running by the orchestrator's own clock, silences left out. */
export function heardMs(span: Omit<MeteredSpan, 'timeLimitSeconds'>): number {
  return Math.max(elapsedMs(span) - span.silentMs - openSilenceMs(span), 0);
}

/** The same, never more than the time limit: what may be billed. */
export function meteredMs(span: MeteredSpan): number {
  return Math.min(heardMs(span), Math.round(span.timeLimitSeconds * 1_000));
}

/** The part of the silence that is going on in which the program was running, as far as anybody knows. */
export function openSilenceMs({
  startedAt,
  exitedAt,
  silentAt,
  now,
}: Omit<MeteredSpan, 'timeLimitSeconds'>): number {
  if (!startedAt || !silentAt) return 0;
  const since = Math.max(silentAt.getTime(), startedAt.getTime());
  return Math.max((exitedAt ?? now).getTime() - since, 0);
}

/**
 * What of a try is paid for, by the reason for its end: all of its metered time, its time up to the moment that
 * its last checkpoint has saved, or nothing.
 *
 * @param savedAt that moment; null for a try without a checkpoint of its own
 */
export function billedMs(reason: EndReason, span: MeteredSpan, savedAt: Date | null = null): number {
  const row = endReasonRow(reason);
  if (row.billable) return meteredMs(span);
  if (!row.billedToCheckpoint || !savedAt) return 0;
  const over = span.exitedAt ?? span.now;
  return meteredMs({ ...span, exitedAt: savedAt < over ? savedAt : over });
}

/** Seconds of its time limit that a job has left: what moved tries have saved and were billed for is used. */
export function leftSeconds(job: { timeLimitSeconds: number; usedMs: number }): number {
  return Math.max(job.timeLimitSeconds - job.usedMs / 1_000, 0);
}
