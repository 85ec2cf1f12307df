import type { Db } from '@computefabric/db/client';
import type { ProviderId } from '@computefabric/protocol/ids';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { pause } from '@computefabric/runtime/wait';
import type { Signals } from '../background/signals.ts';
import type { LeaseSettings } from '../leases/lease-deps.ts';
import { stopAfterSilenceSeconds } from '../leases/silent-lease.ts';
import { findOpenOffers, findPeers, findPending } from '../leases/offer.store.ts';
import { leftSeconds } from '../metering/usage.ts';
import { memberVariables } from '../shapes/member-variables.ts';

interface PollDeps {
  db: Db;
  settings: Pick<LeaseSettings, 'leaseTtlSeconds'>;
}

/** Looks for what waits for a machine; see `lookForMany`. */
export type Look = (providerId: ProviderId) => Promise<PollAnswer>;

export interface PollAnswer {
  offers: TaskSpec[];
  nudge: boolean;
}

/** An offer is told again after this long: the machine may not have got the answer in which it was told. */
const tellAgainMs = 2_000;

/**
 * Which offers a machine has been told of just now, so that it can ask again while it is still answering them:
 * otherwise it would get the same answer at once, over and over.
 */
export class ToldOffers {
  readonly #toldAtMs = new Map<string, number>();

  /** The offers that are news in this session of their machine, and no news from here on. */
  news(session: number, offers: readonly TaskSpec[], nowMs: number): TaskSpec[] {
    for (const [key, atMs] of this.#toldAtMs) {
      if (nowMs - atMs < tellAgainMs) break;
      this.#toldAtMs.delete(key);
    }
    const fresh = offers.filter(({ lease_id }) => !this.#toldAtMs.has(`${session} ${lease_id}`));
    for (const { lease_id } of fresh) this.#toldAtMs.set(`${session} ${lease_id}`, nowMs);
    return fresh;
  }
}

/**
 * Waits until the machine has an offer or a stop to hear of, at most `pollSeconds`. Looks at the tables first
 * and after each signal, so neither a restart of ours nor a lost signal hides an offer for longer than a poll.
 *
 * @param deps.told what machines were told, and the machine's session; without it every open offer is news
 */
export async function pollOffers(
  deps: { look: Look; signals: Signals; told?: { offers: ToldOffers; session: number } },
  providerId: ProviderId,
  pollSeconds: number,
  clientGone: AbortSignal,
): Promise<PollAnswer> {
  const over = AbortSignal.any([clientGone, AbortSignal.timeout(pollSeconds * 1_000)]);
  for (;;) {
    const signalled = new AbortController();
    // Listening starts before looking: an offer made in between is not missed.
    const off = deps.signals.onId('cf_provider', providerId, () => signalled.abort());
    try {
      const { offers, nudge } = await deps.look(providerId);
      const news = deps.told?.offers.news(deps.told.session, offers, performance.now()) ?? offers;
      if (news.length > 0 || nudge || over.aborted) return { offers: news, nudge };
      const againMs = offers.length > 0 ? tellAgainMs : pollSeconds * 1_000;
      await pause(againMs, AbortSignal.any([over, signalled.signal]));
    } finally {
      off();
    }
  }
}

/** What waits for each of these machines now, in their order: one question when nothing does. */
export async function lookForMany(deps: PollDeps, providerIds: readonly ProviderId[]): Promise<PollAnswer[]> {
  const pending = await findPending(deps.db, providerIds);
  const specs = await openOffers(
    deps,
    providerIds.filter((_, index) => pending[index]?.offers),
  );
  return providerIds.map((id, index) => ({
    offers: specs.get(id) ?? [],
    nudge: pending[index]?.untoldStop ?? false,
  }));
}

async function openOffers(
  deps: PollDeps,
  providerIds: readonly ProviderId[],
): Promise<Map<ProviderId, TaskSpec[]>> {
  const specs = new Map<ProviderId, TaskSpec[]>();
  if (providerIds.length === 0) return specs;
  const offers = await findOpenOffers(deps.db, [...new Set(providerIds)]);
  for (const { lease, job, group, gpuUuids, secondsLeft } of offers) {
    const ofMachine = specs.get(lease.providerId) ?? [];
    specs.set(lease.providerId, ofMachine);
    const peers = group?.kind === 'gang' ? await findPeers(deps.db, group.id) : [];
    ofMachine.push({
      lease_id: lease.id,
      fence: lease.fence,
      job_id: job.id,
      attempt: lease.attempt,
      image: job.image,
      command: job.command,
      env: job.env,
      cpus: job.cpuMilli / 1_000,
      memory_mib: job.memoryMib,
      gpu_uuids: gpuUuids,
      gpu_milli: lease.gpuMilli,
      class: lease.spot ? 'spot' : 'on-demand',
      disk_mib: lease.diskMib,
      variables: memberVariables(job, group, peers),
      resumed: lease.resumedFrom !== null,
      checkpoint: job.checkpoint,
      stop_after_silence_seconds: stopAfterSilenceSeconds(deps.settings, job),
      time_limit_seconds: Math.max(1, Math.ceil(leftSeconds(job))),
      stop_grace_seconds: job.stopGraceSeconds,
      price_per_hour_micros: lease.pricePerHourMicros.toString(),
      offer_seconds: secondsLeft,
    });
  }
  return specs;
}
