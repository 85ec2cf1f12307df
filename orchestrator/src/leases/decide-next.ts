import { type EndReason, endReasonRow } from '@computefabric/protocol/end-reason';
import { backoffMs } from '@computefabric/runtime/backoff';

/** A try of the job that is over, as far as the next one depends on it. */
export interface PastTry {
  reason: EndReason;
  /** How long its program ran; 0 when it never started. */
  ranMs: number;
}

/** What a renter allows after failures of the program, and what of it is spent. */
export interface RetryTerms {
  maxRetries: number;
  /** Only these exit codes are tried again; null is any. */
  retryOnExitCodes: readonly number[] | null;
  neverRetryOnExitCodes: readonly number[];
  userFailures: number;
  cancelRequestedAt: Date | null;
}

export type NextOfJob =
  | { kind: 'end'; reason: EndReason; detail: string | null }
  /** Tried again. `counted`: by the renter's `retries`, because the program failed. */
  | { kind: 'again'; counted: boolean; backoffSeconds: number };

/** Half to all of this after the first spoiled try; twice as much after each further one in a row. */
const backoff = { baseMs: 1_000, maxMs: 300_000 };
/** A try whose program ran for this long was no false start: what comes after it starts with a short rest. */
const settledMs = 60_000;
/** More tries in a row than this change nothing: the longest rest is reached. */
export const pastTriesLooked = 12;

/**
 * What becomes of a job whose try has just ended, by the end-reason table: final, or again after a rest that
 * grows while tries fail in a row. Tries that machines or the market spoiled are repeated without being counted
 * against the renter; `maxAttempts` is the operator's bound on how often that may happen in all.
 *
 * @param past the tries that are over, latest first, this one at the head; `pastTriesLooked` of them are enough
 * @param spoiledTries tries of the job so far, this one included, that the table says are spoiled
 * @param random 0 ≤ x < 1, so that jobs that failed together do not come back together
 */
export function decideNext(
  reason: EndReason,
  exitCode: number | null,
  terms: RetryTerms,
  {
    past,
    spoiledTries,
    maxAttempts,
    random,
  }: { past: readonly PastTry[]; spoiledTries: number; maxAttempts: number; random: () => number },
): NextOfJob {
  const row = endReasonRow(reason);
  const counted = row.retryable && mayRetry(exitCode, terms);
  if (!row.requeue && !counted) return { kind: 'end', reason, detail: null };
  if (terms.cancelRequestedAt) return { kind: 'end', reason: 'cancelled', detail: null };
  if (spoiledTries >= maxAttempts && row.spoils) {
    return { kind: 'end', reason, detail: `Given up after ${spoiledTries} spoiled tries.` };
  }
  return { kind: 'again', counted, backoffSeconds: restSeconds(past, random) };
}

function mayRetry(exitCode: number | null, terms: RetryTerms): boolean {
  if (terms.userFailures >= terms.maxRetries) return false;
  if (exitCode !== null && terms.neverRetryOnExitCodes.includes(exitCode)) return false;
  if (terms.retryOnExitCodes === null) return true;
  // A failure without an exit code, such as an image that is not there, is on no list.
  return exitCode !== null && terms.retryOnExitCodes.includes(exitCode);
}

/** By the failures at the end of the history; a planned move is none and asks for no rest. */
function restSeconds(past: readonly PastTry[], random: () => number): number {
  let failures = 0;
  for (const { reason, ranMs } of past) {
    const row = endReasonRow(reason);
    if (!row.backsOff && !row.retryable) break;
    failures += 1;
    if (ranMs >= settledMs) break;
  }
  return failures === 0 ? 0 : backoffMs(failures - 1, backoff, random) / 1_000;
}
