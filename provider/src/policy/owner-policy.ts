import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  beyondOwnerLimits,
  type OwnerLimits,
  type OwnerNotice,
  type OwnerProfile,
  type OwnerReport,
  ownerReasons,
} from '@computefabric/protocol/owner-state';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import type { Clock } from '@computefabric/runtime/clock';
import { toError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import { z } from 'zod';
import { Bell } from '../bell.ts';
import { writeFileAtomically } from '../home/atomic-file.ts';
import { askOwnerHook } from './ask-owner-hook.ts';
import { decide, type Decision, freshMemory, type PolicyMemory } from './decide.ts';
import { type OwnerConfig, parseOwnerConfig } from './owner-config.ts';
import type { PowerLimits } from './power-limits.ts';
import { type Readings, unseen } from './readings.ts';
import type { Senses } from './readings/senses.ts';
import { type OwnerWish, ownerWish, parsePause } from './wish.ts';

/** What the owner's rules do to the tasks of this machine. */
export interface PolicyTasks {
  /** Tasks whose program may be running, and the containers of those that have one. */
  programs(): { count: number; containerIds: readonly string[] };
  throttle(how: Decision['throttle']): Promise<void>;
  /** SIGTERM to all, SIGKILL after this long; each is told why, in the words for its renter. */
  vacate(graceSeconds: number, sentence: string): Promise<void>;
  /** SIGKILL to all. */
  kill(): Promise<void>;
  /** Something that the market is to hear. */
  onChange(): void;
}

export interface OwnerPolicyOptions {
  /** The agent's folder, where the owner's file lies. */
  home: string;
  senses: Pick<Senses, 'look'>;
  power: Pick<PowerLimits, 'apply'>;
  /** What counts where the owner's file says nothing. */
  defaults: { profile: OwnerProfile; timeZone: string };
  clock: Clock;
  log: Logger;
}

/** What an owner is shown of the machine. */
export interface OwnerStatus extends OwnerReport {
  since: string;
  wish: OwnerWish;
  /** Each reading in words; not known is said so. */
  readings: Record<keyof Readings, string>;
  /** What is wrong and does not stop the agent: a file with a mistake, a limit that could not be set. */
  problems: readonly string[];
  /** What was refused lately, newest first. */
  refused: readonly { at: string; job_id: string; reason: string }[];
  /** The latest changes, newest first. */
  history: readonly { at: string; state: string; reason: string; sentence: string }[];
  config_path: string;
}

/** The owner's file, and what the owner said by hand, below the agent's folder. */
export const ownerFileName = 'owner.json';
const wishFileName = 'owner-wish.json';
const savedWish = z.strictObject({ version: z.literal(1), wish: ownerWish });

/** While programs run the machine is looked at this often, so that its owner is met within a second. */
const busyLookMs = 500;
const mostRemembered = 50;
/** What a renter hears of a job that was refused, whatever the owner's reason. */
export const neutralRefusal = 'The owner does not take this job.';

/**
 * The owner's rules at work: looks at the machine, decides, acts, remembers what the owner said by hand over any
 * restart, and takes over a changed file by itself.
 */
export class OwnerPolicy {
  readonly #options: OwnerPolicyOptions;
  readonly #bell = new Bell();
  #config: OwnerConfig;
  #configStamp = '';
  #configProblem: string | null = null;
  #powerProblem: string | null = null;
  /** Null: nothing was ever said by hand. */
  #said: OwnerWish | null = null;
  #memory: PolicyMemory = freshMemory;
  #decision: Decision | undefined;
  #readings: Readings = unseen;
  #sinceMs: number;
  #tasks: PolicyTasks | undefined;
  #throttled: Decision['throttle'] | null = null;
  readonly #refused: { at: string; job_id: string; reason: string }[] = [];
  readonly #history: { at: string; state: string; reason: string; sentence: string }[] = [];

  private constructor(options: OwnerPolicyOptions, config: OwnerConfig) {
    this.#options = options;
    this.#config = config;
    this.#sinceMs = options.clock.now();
  }

  /**
   * Reads the owner's file and what was said by hand before.
   *
   * @throws OwnerConfigError when the file cannot be used: at the start its mistakes are said at once
   */
  static async open(options: OwnerPolicyOptions): Promise<OwnerPolicy> {
    const file = await readOwnerFile(options.home);
    const policy = new OwnerPolicy(options, parseOwnerConfig(file.text, options.defaults));
    policy.#configStamp = file.stamp;
    policy.#said = await policy.#loadWish();
    // What has not been looked at yet is not known, which must not count as somebody who was there just now.
    await policy.#look([]);
    policy.#decide(0);
    return policy;
  }

  get config(): OwnerConfig {
    return this.#config;
  }

  /** What the market is told, so that it offers nothing else. */
  get limits(): OwnerLimits {
    return this.#config.limits;
  }

  get acceptsWork(): boolean {
    return this.#now().acceptsWork;
  }

  /** For the market: nothing that a detail of the machine is named in. */
  notice(): OwnerNotice {
    const { state, reason, accepts_work, until } = this.report();
    return { state, reason, accepts_work, until };
  }

  /** In words for the owner. */
  report(): OwnerReport {
    const { state, reason, sentence, acceptsWork, untilMs } = this.#now();
    return {
      state,
      reason,
      sentence,
      accepts_work: acceptsWork,
      until: untilMs === null ? null : wholeSecond(untilMs),
      profile: this.#config.profile,
    };
  }

  /** For the owner. */
  status(): OwnerStatus {
    const problems = [this.#configProblem, this.#powerProblem].filter((problem) => problem !== null);
    return {
      ...this.report(),
      since: new Date(this.#sinceMs).toISOString(),
      wish: this.#wish,
      readings: inWords(this.#readings),
      problems,
      refused: this.#refused,
      history: this.#history,
      config_path: join(this.#options.home, ownerFileName),
    };
  }

  /**
   * The machine is its owner's again: what runs has to go, at once, unless it is `after-job`. Until `resume`, or as
   * long as it says: `1h`, `until 18:00`.
   *
   * @throws RangeError when it cannot be read
   */
  async pause(until = ''): Promise<OwnerStatus> {
    const wish = parsePause(until, this.#options.clock.now(), this.#config.schedule.timeZone);
    return await this.#want(wish);
  }

  /** Takes back a pause or a drain. */
  async resume(): Promise<OwnerStatus> {
    return await this.#want({ kind: 'none' });
  }

  /** Nothing new until `resume`; what runs ends by itself. */
  async drain(): Promise<OwnerStatus> {
    return await this.#want({ kind: 'drained' });
  }

  /** The owner's own judgement of a job, with words for the owner when it is no. */
  async judge(spec: TaskSpec): Promise<{ kind: 'yes' } | { kind: 'no'; reason: string }> {
    const now = this.#now();
    if (!now.acceptsWork) return this.#refuse(spec, now.sentence);
    const beyond = beyondOwnerLimits(
      {
        image: spec.image,
        gpus: spec.gpu_uuids.length,
        class: spec.class,
        timeLimitSeconds: spec.time_limit_seconds,
        pricePerHourMicros: BigInt(spec.price_per_hour_micros),
      },
      this.#config.limits,
    );
    if (beyond !== null) return this.#refuse(spec, beyond);
    if (!this.#config.hook) return { kind: 'yes' };
    const answer = await askOwnerHook(this.#config.hook, spec);
    if (answer.kind === 'no') return this.#refuse(spec, answer.reason);
    // It has taken a while; the owner may have returned.
    return this.#now().acceptsWork ? answer : this.#refuse(spec, this.#now().sentence);
  }

  /** Looks and acts until the signal aborts; then the machine is as if no job had been there. */
  async run(tasks: PolicyTasks, signal: AbortSignal): Promise<void> {
    this.#tasks = tasks;
    while (!signal.aborted) {
      let lookAgainMs = busyLookMs;
      try {
        lookAgainMs = await this.#step(tasks);
      } catch (thrown) {
        this.#options.log.error(
          { err: toError(thrown) },
          'the owner’s rules could not be applied; trying again',
        );
      }
      await this.#bell.wait(lookAgainMs, signal);
    }
  }

  /** Puts back what was set on the machine for the time of jobs. */
  async close(): Promise<void> {
    await this.#setPower(null);
  }

  async #step(tasks: PolicyTasks): Promise<number> {
    await this.#reloadConfig();
    await this.#look(tasks.programs().containerIds);
    const decision = this.#decide(tasks.programs().count);
    // What speaks for the owner comes first: a card's power can wait for a slow tool, the owner does not.
    if (this.#throttled !== decision.throttle || decision.throttle !== 'none') {
      await tasks.throttle(decision.throttle);
      this.#throttled = decision.throttle;
    }
    if (decision.vacate) {
      await tasks.vacate(decision.vacate.graceSeconds, ownerReasons[decision.reason].renter);
    }
    if (decision.kill) await tasks.kill();
    const { count } = tasks.programs();
    void this.#setPower(count > 0 ? this.#config.powerLimitWatts : null);
    return count > 0 ? Math.min(busyLookMs, decision.lookAgainMs) : decision.lookAgainMs;
  }

  async #look(containerIds: readonly string[]): Promise<void> {
    const { clock, senses } = this.#options;
    const now = { wallMs: clock.now(), monotonicMs: clock.monotonic() };
    this.#readings = await senses.look(this.#config, now, containerIds);
  }

  #decide(programs: number): Decision {
    const { clock, log } = this.#options;
    const { memory, decision } = decide(this.#memory, {
      nowMs: clock.now(),
      monotonicMs: clock.monotonic(),
      config: this.#config,
      wish: this.#wish,
      readings: this.#readings,
      programs,
    });
    const before = this.#decision;
    this.#memory = memory;
    this.#decision = decision;
    if (before?.state !== decision.state || before.reason !== decision.reason) {
      const { state, reason, sentence } = decision;
      this.#sinceMs = clock.now();
      this.#history.unshift({ at: new Date(this.#sinceMs).toISOString(), state, reason, sentence });
      this.#history.splice(mostRemembered);
      log.info({ state, reason, accepts_work: decision.acceptsWork }, sentence);
      this.#tasks?.onChange();
    }
    return decision;
  }

  #now(): Decision {
    return this.#decision ?? this.#decide(0);
  }

  #refuse(spec: TaskSpec, reason: string): { kind: 'no'; reason: string } {
    const at = new Date(this.#options.clock.now()).toISOString();
    this.#refused.unshift({ at, job_id: spec.job_id, reason });
    this.#refused.splice(mostRemembered);
    return { kind: 'no', reason };
  }

  /** Written down before it counts: a wish that was confirmed is never forgotten. */
  async #want(wish: OwnerWish): Promise<OwnerStatus> {
    await writeFileAtomically(
      join(this.#options.home, wishFileName),
      `${JSON.stringify({ version: 1, wish } satisfies z.input<typeof savedWish>)}\n`,
    );
    this.#said = wish;
    this.#decide(this.#tasks?.programs().count ?? 0);
    this.#bell.ring();
    return this.status();
  }

  /** What the owner wants now, by the file or by hand. A machine that works by hand waits for its first word. */
  get #wish(): OwnerWish {
    const { paused, profile } = this.#config;
    const isOff = paused ?? (this.#said === null && profile === 'manual');
    if (isOff) return { kind: 'paused', untilMs: null, afterJob: false };
    return this.#said ?? { kind: 'none' };
  }

  async #loadWish(): Promise<OwnerWish | null> {
    const path = join(this.#options.home, wishFileName);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (thrown) {
      if (isMissing(thrown)) return null;
      throw thrown;
    }
    try {
      return savedWish.parse(JSON.parse(text)).wish;
    } catch (thrown) {
      // It may have been a pause, and a pause lasts until it is undone.
      this.#options.log.warn({ err: toError(thrown), path }, 'what the owner said cannot be read: paused');
      return { kind: 'paused', untilMs: null, afterJob: false };
    }
  }

  /** A file with a mistake changes nothing: the rules of before go on, and the mistake is shown. */
  async #reloadConfig(): Promise<void> {
    const { home, defaults, log } = this.#options;
    const file = await readOwnerFile(home, this.#configStamp);
    if (file.stamp === this.#configStamp) return;
    this.#configStamp = file.stamp;
    const before = JSON.stringify(this.#config.limits);
    try {
      this.#config = parseOwnerConfig(file.text, defaults);
      this.#configProblem = null;
      log.info({ profile: this.#config.profile }, 'the owner’s file was read again');
      if (JSON.stringify(this.#config.limits) !== before) this.#tasks?.onChange();
    } catch (thrown) {
      this.#configProblem = `${join(home, ownerFileName)}: ${toError(thrown).message} The rules of before go on.`;
      log.error({ err: toError(thrown) }, 'the owner’s file cannot be used; the rules of before go on');
    }
  }

  #settingPower: Promise<void> = Promise.resolve();

  /** One at a time; a card whose power cannot be set is worth a word, and not the owner's work. */
  async #setPower(watts: number | null): Promise<void> {
    this.#settingPower = this.#settingPower.then(async () => {
      try {
        await this.#options.power.apply(watts);
        this.#powerProblem = null;
      } catch (thrown) {
        const problem = `The power of the GPUs could not be set: ${toError(thrown).message.slice(0, 300)}`;
        if (this.#powerProblem !== problem) this.#options.log.warn(problem);
        this.#powerProblem = problem;
      }
    });
    await this.#settingPower;
  }
}

async function readOwnerFile(home: string, knownStamp?: string): Promise<{ text: string; stamp: string }> {
  const path = join(home, ownerFileName);
  try {
    const { mtimeMs, size, ino } = await stat(path);
    const stamp = `${ino} ${mtimeMs} ${size}`;
    return stamp === knownStamp ? { text: '', stamp } : { text: await readFile(path, 'utf8'), stamp };
  } catch (thrown) {
    if (isMissing(thrown)) return { text: '', stamp: 'none' };
    throw thrown;
  }
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
}

/** A moment that is worked out anew at every look is the same one in words. */
function wholeSecond(ms: number): string {
  return new Date(Math.round(ms / 1_000) * 1_000).toISOString();
}

function inWords(readings: Readings): Record<keyof Readings, string> {
  const say = <K extends keyof Readings>(
    name: K,
    words: (value: Extract<Readings[K], { known: true }>['value']) => string,
  ): string => {
    const reading: Readings[K] = readings[name];
    return reading.known ? words(reading.value) : `not known: ${reading.why}`;
  };
  return {
    idleSeconds: say('idleSeconds', (seconds) => `idle for ${Math.floor(seconds)} s`),
    fullScreen: say('fullScreen', (who) => who ?? 'nothing'),
    apps: say('apps', (apps) => apps.join(', ') || 'none of your list'),
    otherGpuUse: say('otherGpuUse', (who) => who ?? 'nobody else'),
    onBattery: say('onBattery', (isOn) => (isOn ? 'yes' : 'no')),
    gpuCelsius: say('gpuCelsius', celsius),
    cpuCelsius: say('cpuCelsius', celsius),
    diskFreeMib: say('diskFreeMib', (mib) => `${(mib / 1_024).toFixed(1)} GiB`),
  };
}

function celsius(value: number | null): string {
  return value === null ? 'not measured' : `${value} °C`;
}
