import { pause } from '@computefabric/runtime/wait';
import type { Client } from '@computefabric/api-client/client';
import type { JobView } from '@computefabric/protocol/user-api/jobs';

/** Longest wait for the bill of a job that has ended, ms. Settling takes a moment; a stuck one must not hold us. */
const settleMs = 10_000;
const firstPauseMs = 100;
const longestPauseMs = 1_000;

/** The ended job once its payment is no longer pending, or as it is after ten seconds. */
export async function settledJob(client: Client, id: string, signal?: AbortSignal): Promise<JobView> {
  const deadline = performance.now() + settleMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    const job = await client.jobs.get(id, { signal });
    if (job.cost.payment_state !== 'pending' || performance.now() + pauseMs > deadline) return job;
    await pause(pauseMs, signal);
    signal?.throwIfAborted();
  }
}
