import { type OwnerReason, ownerReasons, type OwnerState } from '@computefabric/protocol/owner-state';
import { never } from '@computefabric/runtime/invariant';
import type { OwnerConfig } from './owner-config.ts';
import type { Readings } from './readings.ts';
import { scheduleAt } from './schedule.ts';
import type { OwnerWish } from './wish.ts';

export interface PolicyInput {
  /** Wall clock, for schedules and wishes that end at a moment. */
  nowMs: number;
  /** Grows evenly whatever the wall clock is set to: everything that lasts is counted on it. */
  monotonicMs: number;
  config: OwnerConfig;
  wish: OwnerWish;
  readings: Readings;
  /** Tasks whose program may be running. */
  programs: number;
}

/** What is remembered from one decision to the next, on the monotonic clock. */
export interface PolicyMemory {
  state: OwnerState;
  /** When a sensed reason last spoke against work; null when none has. */
  sensedAtMs: number | null;
  /** Since when an idle time that is needed cannot be read. */
  blindSinceMs: number | null;
  /** The heat, or the little disk, that stopped work is not over yet. */
  isHot: boolean;
  isDiskLow: boolean;
  /** Since when jobs are slowed. */
  suspendedAtMs: number | null;
  /** When programs were told to end, and why. */
  vacating: { sinceMs: number; reason: OwnerReason; detail: string | null } | null;
}

export interface Decision {
  state: OwnerState;
  reason: OwnerReason;
  /** For the owner. */
  sentence: string;
  acceptsWork: boolean;
  /** `yield`: the lowest priority. `cool`: a part of its cores besides. */
  throttle: 'none' | 'yield' | 'cool';
  /** Programs are to end, with this much time from the moment that it is said first. */
  vacate: { graceSeconds: number } | null;
  /** That time is over. */
  kill: boolean;
  /** Wall clock; null when nobody can say. */
  untilMs: number | null;
  /** Nothing that is known of will change the decision before, other readings may. */
  lookAgainMs: number;
}

export const freshMemory: PolicyMemory = {
  state: 'owner',
  sensedAtMs: null,
  blindSinceMs: null,
  isHot: false,
  isDiskLow: false,
  suspendedAtMs: null,
  vacating: null,
};

/** A reading that fails for a moment costs nobody their work. */
const blindGraceMs = 30_000;
const coolerCelsius = 5;
const moreDisk = 1.1;
/** The engine's own SIGKILL comes at the end of the grace time; ours, when that did not help. */
const killAfterGraceMs = 500;
export const longestLookMs = 2_000;

/** What speaks against work. */
interface Block {
  reason: OwnerReason;
  detail: string | null;
  /** `vacate`: what runs has to go. `cool`: it has to slow down first. `no-new`: it may end by itself. */
  means: 'vacate' | 'cool' | 'no-new';
  /** Comes from readings, which may change back at once; work begins again only after a while. */
  sensed: boolean;
  untilMs: number | null;
}

/**
 * What the machine is to do now. Pure: the same input and memory give the same decision, and nothing else does.
 */
export function decide(
  before: PolicyMemory,
  input: PolicyInput,
): { memory: PolicyMemory; decision: Decision } {
  const { monotonicMs, programs, config } = input;
  const memory = senses(before, input);
  const blocks = blocksOf(memory, input);
  if (blocks.some(({ sensed }) => sensed)) memory.sensedAtMs = monotonicMs;

  const pressing = blocks.find(({ means }) => means === 'vacate');
  const hot = blocks.find(({ means }) => means === 'cool');
  if (programs === 0) {
    memory.suspendedAtMs = null;
    memory.vacating = null;
  } else if (!memory.vacating && (pressing || hot)) {
    memory.suspendedAtMs ??= monotonicMs;
    const lastsMs = (pressing ? (pressing.sensed ? config.suspendSeconds : 0) : config.coolSeconds) * 1_000;
    const because = pressing ?? hot;
    if (because && monotonicMs - memory.suspendedAtMs >= lastsMs) {
      memory.vacating = { sinceMs: monotonicMs, reason: because.reason, detail: because.detail };
    }
  } else if (!memory.vacating) {
    memory.suspendedAtMs = null;
  }

  const decision = decisionOf(memory, input, blocks);
  memory.state = decision.state;
  return { memory, decision };
}

function decisionOf(memory: PolicyMemory, input: PolicyInput, blocks: readonly Block[]): Decision {
  const { monotonicMs, nowMs, programs, config } = input;
  const [first] = blocks;
  const settlingMs =
    memory.sensedAtMs === null ? 0 : memory.sensedAtMs + config.settleSeconds * 1_000 - monotonicMs;
  const common = { acceptsWork: false, throttle: 'none', vacate: null, kill: false } as const;

  if (memory.vacating) {
    const { sinceMs, reason, detail } = memory.vacating;
    const graceSeconds = config.vacateGraceSeconds;
    const killInMs = sinceMs + graceSeconds * 1_000 + killAfterGraceMs - monotonicMs;
    return {
      ...common,
      state: killInMs <= 0 ? 'killing' : 'vacating',
      ...told(reason, detail),
      throttle: 'yield',
      vacate: { graceSeconds },
      kill: killInMs <= 0,
      untilMs: nowMs + Math.max(0, killInMs),
      lookAgainMs: soon(killInMs),
    };
  }
  if (memory.suspendedAtMs !== null) {
    const because = blocks.find(({ means }) => means !== 'no-new') ?? first;
    const lastsMs = (because?.means === 'cool' ? config.coolSeconds : config.suspendSeconds) * 1_000;
    const leftMs = memory.suspendedAtMs + lastsMs - monotonicMs;
    return {
      ...common,
      state: 'suspended',
      ...told(because?.reason ?? 'settling', because?.detail ?? null),
      throttle: because?.means === 'cool' ? 'cool' : 'yield',
      untilMs: nowMs + Math.max(0, leftMs),
      lookAgainMs: soon(leftMs),
    };
  }
  if (first) {
    const isDrain = first.reason === 'drained';
    return {
      ...common,
      state: isDrain ? 'drained' : programs > 0 ? 'claimed' : 'owner',
      ...told(first.reason, first.detail),
      untilMs: first.untilMs,
      lookAgainMs: soon(first.untilMs === null ? longestLookMs : first.untilMs - nowMs),
    };
  }
  if (settlingMs > 0) {
    return {
      ...common,
      state: programs > 0 ? 'claimed' : 'owner',
      ...told('settling', null),
      untilMs: nowMs + settlingMs,
      lookAgainMs: soon(settlingMs),
    };
  }
  const { changesAtMs } = scheduleAt(config.schedule, nowMs);
  return {
    ...common,
    state: programs > 0 ? 'claimed' : 'unclaimed',
    ...told(programs > 0 ? 'working' : 'ready', null),
    acceptsWork: true,
    untilMs: changesAtMs,
    lookAgainMs: soon(changesAtMs === null ? longestLookMs : changesAtMs - nowMs),
  };
}

/** What the readings leave behind: temperatures and disks swing, so the way back has another threshold. */
function senses(before: PolicyMemory, { config, readings, monotonicMs }: PolicyInput): PolicyMemory {
  const memory = { ...before };
  const isBlind = config.idleSeconds > 0 && !readings.idleSeconds.known;
  memory.blindSinceMs = isBlind ? (before.blindSinceMs ?? monotonicMs) : null;
  const reaches = (limit: number | null, celsius: number | null) =>
    limit !== null && celsius !== null && celsius >= (before.isHot ? limit - coolerCelsius : limit);
  const { gpuCelsius, cpuCelsius, diskFreeMib } = readings;
  memory.isHot =
    reaches(config.mostGpuCelsius, gpuCelsius.known ? gpuCelsius.value : null) ||
    reaches(config.mostCpuCelsius, cpuCelsius.known ? cpuCelsius.value : null);
  if (diskFreeMib.known) {
    const least = config.leastFreeDiskMib * (before.isDiskLow ? moreDisk : 1);
    memory.isDiskLow = diskFreeMib.value < least;
  }
  return memory;
}

/** All that speaks against work, the owner's own word first. */
function blocksOf(
  memory: PolicyMemory,
  { nowMs, monotonicMs, config, wish, readings }: PolicyInput,
): Block[] {
  const blocks: Block[] = [];
  const add = (
    reason: OwnerReason,
    means: Block['means'],
    rest: { detail?: string | null; sensed?: boolean; untilMs?: number | null } = {},
  ) => {
    const { detail = null, sensed = true, untilMs = null } = rest;
    blocks.push({ reason, means, detail, sensed, untilMs });
  };

  switch (wish.kind) {
    case 'none':
      break;
    case 'paused':
      if (wish.untilMs === null || nowMs < wish.untilMs)
        add('paused', wish.afterJob ? 'no-new' : 'vacate', { sensed: false, untilMs: wish.untilMs });
      break;
    case 'drained':
      add('drained', 'no-new', { sensed: false });
      break;
    default:
      never(wish, 'wish');
  }
  const schedule = scheduleAt(config.schedule, nowMs);
  if (!schedule.isOpen) add('schedule', 'vacate', { sensed: false, untilMs: schedule.changesAtMs });

  const { idleSeconds, fullScreen, apps, otherGpuUse, onBattery, gpuCelsius, cpuCelsius } = readings;
  if (config.idleSeconds > 0) {
    if (!idleSeconds.known) {
      const blindMs = monotonicMs - (memory.blindSinceMs ?? monotonicMs);
      add('person-unknown', blindMs >= blindGraceMs ? 'vacate' : 'no-new', { detail: idleSeconds.why });
    } else if (idleSeconds.value < config.idleSeconds) {
      const leftMs = (config.idleSeconds - idleSeconds.value) * 1_000;
      add('person', 'vacate', { untilMs: nowMs + Math.max(leftMs, config.settleSeconds * 1_000) });
    }
  }
  if (config.watchesFullScreen && fullScreen.known && fullScreen.value !== null)
    add('full-screen', 'vacate', { detail: fullScreen.value });
  if (config.neverWith.length > 0 && apps.known && apps.value.length > 0)
    add('app', 'vacate', { detail: apps.value.slice(0, 3).join(', ') });
  if (config.watchesGpu && otherGpuUse.known && otherGpuUse.value !== null)
    add('gpu-in-use', 'vacate', { detail: otherGpuUse.value });
  if (!config.worksOnBattery && onBattery.known && onBattery.value) add('battery', 'vacate');
  if (memory.isHot) {
    const worst = [
      gpuCelsius.known && gpuCelsius.value !== null && `GPU ${gpuCelsius.value} °C`,
      cpuCelsius.known && cpuCelsius.value !== null && `CPU ${cpuCelsius.value} °C`,
    ].filter(Boolean);
    add('hot', 'cool', { detail: worst.join(', ') });
  }
  if (memory.isDiskLow) add('disk-low', 'no-new', { sensed: false });
  return blocks;
}

function told(reason: OwnerReason, detail: string | null): Pick<Decision, 'reason' | 'sentence'> {
  const { owner } = ownerReasons[reason];
  const sentence = detail ? `${owner.replace(/\.$/, '')}: ${detail}.` : owner;
  return { reason, sentence: sentence.slice(0, 300) };
}

function soon(ms: number): number {
  return Math.min(longestLookMs, Math.max(100, Math.ceil(ms)));
}
