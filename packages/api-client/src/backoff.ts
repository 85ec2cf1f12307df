export interface RetryPolicy {
  /** Tries after the first one. */
  retries: number;
  /** First delay, ms; doubles each time. */
  baseMs: number;
  /** Longest delay, ms. A server that asks for more than this is not waited for: the caller learns of it. */
  maxMs: number;
}

/**
 * Delay before repeat number `attempt` (0 is the first). A random half, so that clients that lost the same
 * server do not come back in step.
 */
export function backoffMs(attempt: number, policy: Pick<RetryPolicy, 'baseMs' | 'maxMs'>): number {
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempt, 30));
  return ceiling * (0.5 + Math.random() / 2);
}

/** Waits `ms`. @throws the signal's reason, at once, when it aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
