import type { Db } from '@computefabric/db/client';
import type { ProviderId } from '@computefabric/protocol/ids';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import type { Signals } from '../background/signals.ts';
import type { LeaseSettings } from '../leases/lease-deps.ts';
import { stopAfterSilenceSeconds } from '../leases/silent-lease.ts';
import { findNews, findPeers } from '../leases/offer.store.ts';
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
 * The part of its time that a poll may end early. Machines that came together (all of them, after a restart of
 * ours) would otherwise ask together for ever after: a thousand polls at once keep everybody else waiting for
 * more than half a second.
 */
const pollSpread = 0.3;

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
  const bell = new Bell();
  const expired = setTimeout(() => bell.end(), pollSeconds * (1 - pollSpread * Math.random()) * 1_000);
  const leave = () => bell.end();
  if (clientGone.aborted) bell.end();
  else clientGone.addEventListener('abort', leave, { once: true });
  // Listening starts before looking: an offer made in between is not missed.
  const off = deps.signals.onId('cf_provider', providerId, () => bell.ring());
  try {
    for (;;) {
      bell.hush();
      const { offers, nudge } = await deps.look(providerId);
      const news = deps.told?.offers.news(deps.told.session, offers, performance.now()) ?? offers;
      if (news.length > 0 || nudge || bell.hasEnded) return { offers: news, nudge };
      await bell.wait(offers.length > 0 ? tellAgainMs : null);
    }
  } finally {
    off();
    clearTimeout(expired);
    clientGone.removeEventListener('abort', leave);
  }
}

/** What a poll waits for; ten thousand wait at a time, so it is no more than this. */
class Bell {
  hasEnded = false;
  #hasRung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** It is over: nobody waits any more. */
  end(): void {
    this.hasEnded = true;
    this.ring();
  }

  /** From here on a ring is news. */
  hush(): void {
    this.#hasRung = this.hasEnded;
  }

  /** Until it has rung since it was hushed, at most so many milliseconds. */
  async wait(mostMs: number | null): Promise<void> {
    if (this.#hasRung) return;
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (mostMs !== null) late = setTimeout(resolve, mostMs);
    });
    this.#wake = null;
    clearTimeout(late);
  }
}

/** What waits for each of these machines now, in their order: one question, whatever waits. */
export async function lookForMany(deps: PollDeps, providerIds: readonly ProviderId[]): Promise<PollAnswer[]> {
  const news = await findNews(deps.db, [...new Set(providerIds)]);
  if (news.length === 0) return providerIds.map(() => ({ offers: [], nudge: false }));
  const specs = await specsByMachine(
    deps,
    news.filter(({ isOffer }) => isOffer),
  );
  const untold = new Set(news.filter(({ isOffer }) => !isOffer).map(({ lease }) => lease.providerId));
  return providerIds.map((id) => ({ offers: specs.get(id) ?? [], nudge: untold.has(id) }));
}

async function specsByMachine(
  deps: PollDeps,
  offers: Awaited<ReturnType<typeof findNews>>,
): Promise<Map<ProviderId, TaskSpec[]>> {
  const specs = new Map<ProviderId, TaskSpec[]>();
  for (const { lease, job, group, hasLogin, gpuUuids, secondsLeft } of offers) {
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
      registry_login: hasLogin,
      resumed: lease.resumedFrom !== null,
      checkpoint: job.checkpoint,
      network: { mode: job.networkMode, allow: job.networkAllow },
      stop_after_silence_seconds: stopAfterSilenceSeconds(deps.settings, job),
      time_limit_seconds: Math.max(1, Math.ceil(leftSeconds(job))),
      stop_grace_seconds: job.stopGraceSeconds,
      price_per_hour_micros: lease.pricePerHourMicros.toString(),
      offer_seconds: secondsLeft,
    });
  }
  return specs;
}
