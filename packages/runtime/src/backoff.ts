export interface BackoffOptions {
  /** First delay, ms. */
  baseMs: number;
  /** Longest delay, ms. */
  maxMs: number;
}

/**
 * Delay before try number `attempt` (0 is the first repeat): doubles up to the maximum, and of that a random
 * part between half and all, so that many clients that failed together do not come back together.
 */
export function backoffMs(
  attempt: number,
  options: BackoffOptions,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(attempt, 30));
  return ceiling * (0.5 + random() / 2);
}
