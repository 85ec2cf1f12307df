import type { Contract } from '@computefabric/protocol/contract';
import type { JobId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import { sessionHeader } from '@computefabric/protocol/provider-api/v1/common';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import {
  goodbye,
  heartbeat,
  hello,
  type KeptState,
  poll,
  type TaskAnswer,
  type TaskSpec,
  type Verdict,
} from '@computefabric/protocol/provider-api/v1/session';
import type { MeteringRecord } from '@computefabric/protocol/receipts/metering';
import { backoffMs } from '@computefabric/runtime/backoff';
import type { Logger } from '@computefabric/runtime/log';
import type { Secret } from '@computefabric/runtime/secret';
import { pause } from '@computefabric/runtime/wait';
import type { z } from 'zod';
import { agentVersion } from '../agent-version.ts';
import { Bell } from '../bell.ts';
import { withEither } from '@computefabric/runtime/either-signal';
import { type BootClock, type Moment, msBetween } from '../home/boot-clock.ts';
import { StartError } from '../start-error.ts';
import {
  CallFailed,
  type CallOptions,
  type CallParts,
  CallRefused,
  type ControlPlaneClient,
} from './client.ts';
import type { Credential } from './credential.ts';
import type { Heard } from './heard.ts';
import { isUnanswered, repeatUntilAnswered } from './repeat.ts';

type HelloTask = z.infer<NonNullable<typeof hello.body>>['tasks'][number];
type HeartbeatTask = z.infer<NonNullable<typeof heartbeat.body>>['tasks'][number];

/** What the session asks and tells about the tries that the agent holds. */
export interface SessionTasks {
  /** Every try of which there is a journal: one that hello does not name is lost at once. */
  held(): HelloTask[];
  /** The tries that the orchestrator knows to be ours. */
  beating(): HeartbeatTask[];
  /**
   * The fate of a try, and when it was heard.
   *
   * @param stopWithinSeconds when it is to stop: SIGKILL after this long if that is sooner than its grace time
   */
  verdict(leaseId: string, verdict: Verdict, heard: Heard, stopWithinSeconds: number | null): void;
  /** The market has written down how long a try has run: it asks for our signature. */
  metered(leaseId: string, record: MeteringRecord): void;
  /** The market is away for everybody: tries need not stop for fear that they were given to others. */
  marketAway(heard: Heard): void;
  offer(spec: TaskSpec): void;
  /** State of earlier tries that the machine keeps; `version` is another one when that may have changed. */
  kept(): { version: number; states: KeptState[] };
  /** Names of the images that are here; undefined while that is not known. */
  images(): readonly string[] | undefined;
  /** Images that many jobs ask for. */
  wantedImages(references: readonly string[]): void;
  /** What the owner's rules say now. */
  ownerNotice(): OwnerNotice;
  /** State that the market knows not to be needed any more. */
  forget(jobIds: readonly JobId[]): void;
}

export interface SessionOptions {
  client: ControlPlaneClient;
  credential: Credential;
  inventory: () => Promise<Inventory>;
  /** The public key of what this machine signs. */
  signingKey: string;
  tasks: SessionTasks;
  clock: BootClock;
  log: Logger;
}

export interface SessionCallOptions extends Omit<CallOptions, 'bearer' | 'signal'> {
  /** Runs before each try of the call. */
  beforeEach?: () => void;
}

interface OpenSession {
  number: number;
  leaseTtlSeconds: number;
  heartbeatSeconds: number;
  pollSeconds: number;
  /** Aborts when this session gives way to the next one of this process. */
  over: AbortController;
}

/** A newer process speaks for this machine: this one stops at once and touches nothing. */
export class ReplacedError extends Error {
  override readonly name = 'ReplacedError';
}

/** The session was opened anew while a call of the old one was under way: make the call again. */
class SessionChanged extends Error {
  override readonly name = 'SessionChanged';
}

/** A suspended machine asks this often whether it may come back. */
const suspendedAskMs = 30_000;
const callDeadlineMs = 10_000;
/**
 * A market that is away for longer than this may have been moved to another address and may give our tries to
 * others: programs stop then as they do when nothing is heard. Far above any restart or upgrade of it.
 */
const longestOutageMs = 300_000;
/** What is kept is told again, so that what is not needed any more is noticed. */
const tellKeptEveryMs = 60_000;
/** Which images are here is told again, for the answer says which ones are asked for. */
const tellImagesEveryMs = 300_000;
/** What the owner's rules say is told again, should an older word have arrived after a newer one. */
const tellOwnerEveryMs = 60_000;
/** News that come together share one heartbeat. */
const coalesceMs = 25;

/**
 * The agent's place on the market: says hello, then beats and polls until it is told to stop. Connections go
 * out only. An orchestrator that is away, for however long, is called again until it answers.
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #opened = new Bell();
  readonly #news = new Bell();
  readonly #replaced = new AbortController();
  #current: OpenSession | undefined;
  /** The market's latest answer about tries. */
  #heard: Heard | undefined;
  /** Hellos of this process without an answer: one may still arrive and make our session an old one. */
  #unansweredHellos = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /**
   * Serves until the signal aborts.
   *
   * @throws ReplacedError when a newer process has taken over
   * @throws StartError when the orchestrator does not know this machine
   */
  async run(signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#replaced.signal]);
    for (let first = true; !stop.aborted; first = false) {
      try {
        const session = await this.#open(stop, first);
        const over = AbortSignal.any([stop, session.over.signal]);
        await Promise.all([this.#beat(session, over), this.#poll(session, over)]);
      } catch (thrown) {
        if (!stop.aborted) throw thrown;
      }
    }
    this.#replaced.signal.throwIfAborted();
  }

  /** Sends a heartbeat soon: something has changed. */
  beatSoon(): void {
    this.#news.ring();
  }

  /**
   * Makes a call of the current session until it is answered.
   *
   * @throws CallRefused for every refusal but a stale session
   * @throws the signal's reason when it aborts
   */
  async call<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
    contract: Contract<P, Q, B, R>,
    parts: CallParts<P, Q, B>,
    options: SessionCallOptions,
    signal: AbortSignal,
  ): Promise<z.output<R>> {
    const { client } = this.#options;
    return await this.#repeat(contract.id, options, signal, (call) => client.call(contract, parts, call));
  }

  /** The same for a contract that answers with raw bytes. */
  async download<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
    contract: Contract<P, Q, B>,
    parts: CallParts<P, Q, B>,
    options: SessionCallOptions,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const { client } = this.#options;
    return await this.#repeat(contract.id, options, signal, (call) => client.download(contract, parts, call));
  }

  async #repeat<T>(
    what: string,
    options: SessionCallOptions,
    signal: AbortSignal,
    make: (call: CallOptions) => Promise<T>,
  ): Promise<T> {
    return await withEither([signal, this.#replaced.signal], async (stop) => {
      for (;;) {
        const session = await this.#whenOpen(stop);
        try {
          return await repeatUntilAnswered({ what, log: this.#options.log, signal: stop }, async () => {
            if (this.#current !== session) throw new SessionChanged();
            return await this.#makeOnce(session, options, stop, make);
          });
        } catch (thrown) {
          if (!(thrown instanceof SessionChanged)) throw thrown;
        }
      }
    });
  }

  /** Tells the orchestrator once, without insisting: it notices by itself when we are gone. */
  async goodbye(leaving: boolean, deadlineMs: number): Promise<void> {
    const session = this.#current;
    if (!session) return;
    try {
      const signal = AbortSignal.timeout(deadlineMs);
      await this.#callOnce(goodbye, session, { body: { leaving } }, { deadlineMs }, signal);
    } catch (thrown) {
      this.#options.log.warn({ err: thrown, leaving }, 'goodbye was not heard');
    }
  }

  /** Opens a session. Until the first hello is answered a refusal ends the agent; later it is waited out. */
  async #open(signal: AbortSignal, first: boolean): Promise<OpenSession> {
    const { client, credential, tasks, clock, log } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted();
      const inventory = await this.#options.inventory();
      const held = tasks.held();
      const sentAt = clock.now();
      let bearer: Secret | undefined;
      try {
        bearer = await credential.bearer(signal);
        this.#unansweredHellos += 1;
        const reply = await client.call(
          hello,
          {
            body: {
              agent_version: agentVersion,
              inventory,
              tasks: held,
              signing_key: this.#options.signingKey,
              owner_notice: tasks.ownerNotice(),
            },
          },
          { bearer, deadlineMs: callDeadlineMs, signal },
        );
        this.#unansweredHellos -= 1;
        const session: OpenSession = {
          number: reply.session,
          leaseTtlSeconds: reply.lease_ttl_seconds,
          heartbeatSeconds: reply.heartbeat_seconds,
          pollSeconds: reply.poll_seconds,
          over: new AbortController(),
        };
        this.#applyVerdicts(held, reply.tasks, { at: sentAt, leaseTtlSeconds: session.leaseTtlSeconds });
        this.#current = session;
        this.#opened.ring();
        log.info({ session: session.number, held: held.length }, 'session open');
        return session;
      } catch (thrown) {
        signal.throwIfAborted();
        this.#noticeOutage(thrown, sentAt);
        if (bearer && thrown instanceof CallRefused) this.#unansweredHellos -= 1;
        if (bearer && isUnknownBearer(thrown)) credential.refused(bearer);
        if (thrown instanceof CallRefused && thrown.code === 'provider/suspended') {
          log.warn('this machine is suspended; asking again later');
          await pause(suspendedAskMs, signal);
        } else if (thrown instanceof CallRefused && (first || !isUnanswered(thrown))) {
          throw new StartError(`The orchestrator refuses this machine: ${thrown.message}`, 'refused', thrown);
        } else if (isUnanswered(thrown)) {
          if (attempt % 20 === 0)
            log.warn({ err: thrown, attempt }, 'the orchestrator does not answer; trying again');
          await pause(backoffMs(attempt, { baseMs: 200, maxMs: 10_000 }), signal);
        } else throw thrown;
      }
    }
  }

  /** Beats at the market's pace, give or take a tenth so that machines do not beat in step, and at any news. */
  async #beat(session: OpenSession, signal: AbortSignal): Promise<void> {
    const { tasks, clock, log } = this.#options;
    const everyMs = session.heartbeatSeconds * 1_000;
    let lastHeard = clock.now();
    let failures = 0;
    let told: { version: number; at: Moment } | null = null;
    let toldImages: string | undefined;
    let toldImagesAt: Moment | undefined;
    let toldOwner: { key: string; at: Moment } | null = null;
    while (!signal.aborted) {
      const delayMs =
        failures === 0
          ? everyMs * (0.9 + Math.random() / 5)
          : backoffMs(failures - 1, { baseMs: 200, maxMs: everyMs });
      await this.#news.wait(delayMs, signal);
      await pause(Math.min(coalesceMs, everyMs), signal);
      if (signal.aborted) return;
      const beating = tasks.beating();
      const sentAt = clock.now();
      try {
        const deadlineMs = Math.min(everyMs, callDeadlineMs);
        const kept = tasks.kept();
        const isDue =
          told?.version !== kept.version ||
          (kept.states.length > 0 && msBetween(told.at, sentAt) > tellKeptEveryMs);
        const images = tasks.images();
        const imagesText = images?.join();
        const imagesDue =
          images !== undefined &&
          (toldImages !== imagesText || !toldImagesAt || msBetween(toldImagesAt, sentAt) > tellImagesEveryMs);
        const owner = tasks.ownerNotice();
        const ownerDue =
          toldOwner?.key !== keyOf(owner) || msBetween(toldOwner.at, sentAt) > tellOwnerEveryMs;
        const body = {
          tasks: beating,
          ...(isDue ? { kept_states: kept.states } : {}),
          ...(imagesDue ? { cached_images: [...images] } : {}),
          ...(ownerDue ? { owner_notice: owner } : {}),
        };
        const reply = await this.#callOnce(heartbeat, session, { body }, { deadlineMs }, signal);
        this.#applyVerdicts(beating, reply.tasks, {
          at: sentAt,
          leaseTtlSeconds: reply.lease_ttl_seconds,
        });
        if (ownerDue) toldOwner = { key: keyOf(owner), at: sentAt };
        if (isDue) told = { version: kept.version, at: sentAt };
        tasks.forget(reply.forget_states);
        if (imagesDue) {
          toldImages = imagesText;
          toldImagesAt = sentAt;
          tasks.wantedImages(reply.wanted_images);
        }
        failures = 0;
        const silentMs = msBetween(lastHeard, clock.now());
        lastHeard = clock.now();
        // After so long they may have taken us for gone: introduce the machine again.
        if (silentMs > session.leaseTtlSeconds * 1_000) this.#reopen(session);
      } catch (thrown) {
        if (signal.aborted || thrown instanceof SessionChanged) return;
        failures += 1;
        if (failures === 1) log.warn({ err: thrown }, 'heartbeat not answered');
        this.#noticeOutage(thrown, sentAt);
      }
    }
  }

  /**
   * Silence may mean that we alone are cut off, and that our tries are given to others. A refusal means that
   * nobody is there: then a restart of the market must not cost anybody their running program.
   */
  #noticeOutage(thrown: unknown, askedAt: Moment): void {
    if (!this.#heard || !(thrown instanceof CallFailed) || !thrown.nobodyThere) return;
    if (msBetween(this.#heard.at, askedAt) > longestOutageMs) return;
    this.#options.tasks.marketAway({ ...this.#heard, at: askedAt });
  }

  /** Asks for offers, one long question after the other. */
  async #poll(session: OpenSession, signal: AbortSignal): Promise<void> {
    const { tasks, log } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const deadlineMs = Math.min(session.pollSeconds, limits.pollSeconds * 2) * 1_000 + callDeadlineMs;
      try {
        const reply = await this.#callOnce(poll, session, { body: {} }, { deadlineMs }, signal);
        failures = 0;
        if (reply.nudge) this.beatSoon();
        for (const spec of reply.offers) tasks.offer(spec);
      } catch (thrown) {
        if (signal.aborted || thrown instanceof SessionChanged) return;
        const suspended = thrown instanceof CallRefused && thrown.code === 'provider/suspended';
        if (failures === 0)
          log.warn({ err: thrown }, suspended ? 'this machine is suspended' : 'poll not answered');
        await pause(suspended ? suspendedAskMs : backoffMs(failures, { baseMs: 200, maxMs: 10_000 }), signal);
        failures += 1;
      }
    }
  }

  /** One try of a call in a session. A stale session never gets further than here. */
  async #callOnce<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
    contract: Contract<P, Q, B, R>,
    session: OpenSession,
    parts: CallParts<P, Q, B>,
    options: SessionCallOptions,
    signal: AbortSignal,
  ): Promise<z.output<R>> {
    const { client } = this.#options;
    return await this.#makeOnce(session, options, signal, (call) => client.call(contract, parts, call));
  }

  async #makeOnce<T>(
    session: OpenSession,
    options: SessionCallOptions,
    signal: AbortSignal,
    make: (call: CallOptions) => Promise<T>,
  ): Promise<T> {
    const { beforeEach, ...callOptions } = options;
    const { credential } = this.#options;
    const bearer = await credential.bearer(signal);
    beforeEach?.();
    try {
      return await make({
        ...callOptions,
        headers: { ...options.headers, [sessionHeader]: String(session.number) },
        bearer,
        signal,
      });
    } catch (thrown) {
      if (isUnknownBearer(thrown)) credential.refused(bearer);
      if (!(thrown instanceof CallRefused) || thrown.code !== 'provider/session-stale') throw thrown;
      this.#onStale(session);
      throw new SessionChanged();
    }
  }

  /**
   * Our session is an old one. Either this process has opened a newer one meanwhile, or a hello of ours whose
   * answer was lost arrived late, or another process speaks for this machine now, which has the last word.
   */
  #onStale(session: OpenSession): void {
    if (this.#current !== session) return;
    if (this.#unansweredHellos > 0) {
      this.#unansweredHellos = 0;
      this.#reopen(session);
      return;
    }
    this.#replaced.abort(
      new ReplacedError('A newer process of this machine has taken over; this one stops.'),
    );
  }

  #reopen(session: OpenSession): void {
    if (this.#current === session) this.#current = undefined;
    session.over.abort();
  }

  async #whenOpen(signal: AbortSignal): Promise<OpenSession> {
    while (!this.#current) {
      signal.throwIfAborted();
      await this.#opened.wait(1_000, signal);
    }
    signal.throwIfAborted();
    return this.#current;
  }

  /** A try that we named and that they do not mention is not ours. */
  #applyVerdicts(
    asked: ReadonlyArray<{ lease_id: string }>,
    answers: readonly TaskAnswer[],
    heard: Heard,
  ): void {
    this.#heard = heard;
    const byLease = new Map<string, TaskAnswer>(answers.map((answer) => [answer.lease_id, answer]));
    for (const { lease_id } of asked) {
      const answer = byLease.get(lease_id);
      const within = answer?.stop_within_seconds ?? null;
      this.#options.tasks.verdict(lease_id, answer?.verdict ?? 'gone', heard, within);
      if (answer?.metering) this.#options.tasks.metered(lease_id, answer.metering);
    }
  }
}

/** Another one when there is something to tell: an end that moves with each touch of a key is none. */
function keyOf({ state, reason, accepts_work: accepts }: OwnerNotice): string {
  return [state, reason, accepts].join();
}

/** The market does not take this bearer, which another one may put right. */
function isUnknownBearer(thrown: unknown): boolean {
  return thrown instanceof CallRefused && thrown.code === 'auth/invalid';
}
