import { gpus } from '@computefabric/db/schema/gpus';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import type { ProviderId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { pause } from '@computefabric/runtime/wait';
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { Signals } from '../background/signals.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { hasUntoldStop } from './record-heartbeat.ts';

export interface PollAnswer {
  offers: TaskSpec[];
  nudge: boolean;
}

/**
 * Waits until the machine has an offer or a stop to hear of, at most `pollSeconds`. Looks at the tables first
 * and after each signal, so neither a restart of ours nor a lost signal hides an offer for longer than a poll.
 */
export async function pollOffers(
  deps: Pick<LeaseDeps, 'db'> & { signals: Signals },
  providerId: ProviderId,
  pollSeconds: number,
  clientGone: AbortSignal,
): Promise<PollAnswer> {
  const over = AbortSignal.any([clientGone, AbortSignal.timeout(pollSeconds * 1_000)]);
  for (;;) {
    const signalled = new AbortController();
    // Listening starts before looking: an offer made in between is not missed.
    const off = deps.signals.on('cf_provider', (payload) => {
      if (payload === '' || payload === providerId) signalled.abort();
    });
    try {
      const answer = {
        offers: await openOffers(deps, providerId),
        nudge: await hasUntoldStop(deps, providerId),
      };
      if (answer.offers.length > 0 || answer.nudge || over.aborted) return answer;
      await pause(pollSeconds * 1_000, AbortSignal.any([over, signalled.signal]));
    } finally {
      off();
    }
  }
}

/** Offers that the machine may still accept, oldest first. */
async function openOffers(deps: Pick<LeaseDeps, 'db'>, providerId: ProviderId): Promise<TaskSpec[]> {
  const rows = await deps.db
    .select({
      lease: leases,
      job: jobs,
      secondsLeft: sql<number>`extract(epoch from ${leases.expiresAt} - now())::float8`,
    })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(
      and(eq(leases.providerId, providerId), eq(leases.state, 'offered'), sql`${leases.expiresAt} > now()`),
    )
    .orderBy(asc(leases.fence));
  const gpuIds = rows.flatMap(({ lease }) => lease.gpuIds);
  const cards =
    gpuIds.length === 0
      ? []
      : await deps.db.select({ id: gpus.id, uuid: gpus.uuid }).from(gpus).where(inArray(gpus.id, gpuIds));
  const uuidOf = new Map(cards.map((card) => [card.id, card.uuid]));
  return rows.map(({ lease, job, secondsLeft }) => ({
    lease_id: lease.id,
    fence: lease.fence,
    job_id: job.id,
    attempt: lease.attempt,
    image: job.image,
    command: job.command,
    env: job.env,
    cpus: job.cpuMilli / 1_000,
    memory_mib: job.memoryMib,
    gpu_uuids: lease.gpuIds.map((id) => uuidOf.get(id)).filter((uuid) => uuid !== undefined),
    time_limit_seconds: job.timeLimitSeconds,
    stop_grace_seconds: limits.stopGraceSeconds,
    price_per_hour_micros: lease.pricePerHourMicros.toString(),
    offer_seconds: secondsLeft,
  }));
}
