import { describe, expect, test } from 'vitest';
import type { OwnerProfile, OwnerReason, OwnerState } from '@computefabric/protocol/owner-state';
import { decide, type Decision, freshMemory, type PolicyInput, type PolicyMemory } from './decide.ts';
import { type OwnerConfig, parseOwnerConfig } from './owner-config.ts';
import { known, type Readings, unknown } from './readings.ts';
import type { OwnerWish } from './wish.ts';

const config = (profile: OwnerProfile, change: Partial<OwnerConfig> = {}): OwnerConfig => ({
  ...parseOwnerConfig('', { profile, timeZone: 'UTC' }),
  ...change,
});
const away: Readings = {
  idleSeconds: known(100_000),
  fullScreen: known(null),
  apps: known([]),
  otherGpuUse: known(null),
  onBattery: known(false),
  gpuCelsius: known(40),
  cpuCelsius: known(40),
  diskFreeMib: known(1_000_000),
};
const none: OwnerWish = { kind: 'none' };
const paused: OwnerWish = { kind: 'paused', untilMs: null, afterJob: false };
/** A Wednesday, noon. */
const noon = Date.parse('2026-03-04T12:00:00Z');

function input(change: Partial<PolicyInput> = {}): PolicyInput {
  return {
    nowMs: noon,
    monotonicMs: 1e6,
    config: config('desktop'),
    wish: none,
    readings: away,
    programs: 0,
    ...change,
  };
}
const once = (change: Partial<PolicyInput>, memory: PolicyMemory = freshMemory): Decision =>
  decide(memory, input(change)).decision;

describe('what a machine does', () => {
  const cases: [string, Partial<PolicyInput>, OwnerState, OwnerReason][] = [
    ['waits for a job when its owner is away', {}, 'unclaimed', 'ready'],
    ['works', { programs: 1 }, 'claimed', 'working'],
    ['is its owner’s while keys are pressed', at({ idleSeconds: known(2) }), 'owner', 'person'],
    ['does not guess that nobody is there', at({ idleSeconds: unknown('no') }), 'owner', 'person-unknown'],
    ['is its owner’s while a film is seen', at({ fullScreen: known('mpv') }), 'owner', 'full-screen'],
    ['leaves the GPU to others', at({ otherGpuUse: known('blender') }), 'owner', 'gpu-in-use'],
    ['spares the battery', at({ onBattery: known(true) }), 'owner', 'battery'],
    ['takes nothing when hot', at({ gpuCelsius: known(90) }), 'owner', 'hot'],
    ['takes nothing on a full disk', at({ diskFreeMib: known(100) }), 'owner', 'disk-low'],
    ['is off when paused', { wish: paused }, 'owner', 'paused'],
    ['is drained when told', { wish: { kind: 'drained' } }, 'drained', 'drained'],
    ['finishes what it has when drained', { wish: { kind: 'drained' }, programs: 1 }, 'drained', 'drained'],
    [
      'finishes what it has when paused after it',
      { wish: { ...paused, afterJob: true }, programs: 1 },
      'claimed',
      'paused',
    ],
    ['is off outside of its hours', { config: config('night') }, 'owner', 'schedule'],
    [
      'asks a program to end for its owner',
      { ...at({ idleSeconds: known(1) }), programs: 1 },
      'vacating',
      'person',
    ],
    ['gives up its job when paused', { wish: paused, programs: 1 }, 'vacating', 'paused'],
    ['slows down when hot', { ...at({ gpuCelsius: known(90) }), programs: 1 }, 'suspended', 'hot'],
    [
      'keeps its job when the disk gets full',
      { ...at({ diskFreeMib: known(1) }), programs: 1 },
      'claimed',
      'disk-low',
    ],
  ];
  test.each(cases)('%s', (_, change, state, reason) => {
    const decision = once(change);
    expect([decision.state, decision.reason]).toEqual([state, reason]);
    expect(decision.acceptsWork).toBe(reason === 'ready' || reason === 'working');
    expect(decision.sentence).not.toBe('');
  });

  function at(change: Partial<Readings>): Partial<PolicyInput> {
    const neverWith = config('desktop', { neverWith: ['game'] });
    return { readings: { ...away, ...change }, config: neverWith };
  }

  test('a listed program is named to its owner', () => {
    const decision = once(at({ apps: known(['game']) }));
    expect(decision).toMatchObject({ reason: 'app', sentence: 'A program of your list runs: game.' });
  });

  test('a server does not look at keyboard, mouse and screen', () => {
    const readings = { ...away, idleSeconds: unknown('no'), fullScreen: known('x') };
    expect(once({ config: config('server'), readings })).toMatchObject({ state: 'unclaimed' });
  });
});

describe('the way out', () => {
  const busy = { readings: { ...away, idleSeconds: known(0) }, programs: 1 };

  test('a program is asked to end at once, and killed when its time is over, and not before', () => {
    const first = decide(freshMemory, input(busy));
    expect(first.decision).toMatchObject({ state: 'vacating', vacate: { graceSeconds: 13 }, kill: false });
    expect(first.decision.throttle).toBe('yield');
    const almost = decide(first.memory, input({ ...busy, monotonicMs: 1e6 + 13_400 }));
    expect(almost.decision).toMatchObject({ state: 'vacating', kill: false });
    const over = decide(first.memory, input({ ...busy, monotonicMs: 1e6 + 13_500 }));
    expect(over.decision).toMatchObject({ state: 'killing', kill: true });
    expect(decide(over.memory, input({ ...busy, programs: 0 })).decision.state).toBe('owner');
  });

  test('a program that was told to end is not told to go on when the owner leaves again', () => {
    const first = decide(freshMemory, input(busy));
    const gone = decide(first.memory, input({ programs: 1, monotonicMs: 1e6 + 1_000 }));
    expect(gone.decision).toMatchObject({ state: 'vacating', reason: 'person', acceptsWork: false });
  });

  test('a job that may be slowed first goes on when the owner leaves in that time, else it goes', () => {
    const patient = config('desktop', { suspendSeconds: 30 });
    const first = decide(freshMemory, input({ ...busy, config: patient }));
    expect(first.decision).toMatchObject({ state: 'suspended', throttle: 'yield', acceptsWork: false });
    const left = decide(first.memory, input({ programs: 1, config: patient, monotonicMs: 1e6 + 9_000 }));
    expect(left.decision).toMatchObject({ state: 'claimed', throttle: 'none', acceptsWork: false });
    const stayed = decide(first.memory, input({ ...busy, config: patient, monotonicMs: 1e6 + 30_000 }));
    expect(stayed.decision.state).toBe('vacating');
  });

  test('a hot machine slows its job down, and gives it up when that does not help', () => {
    const hot = { readings: { ...away, gpuCelsius: known(90) }, programs: 1 };
    const first = decide(freshMemory, input(hot));
    expect(first.decision).toMatchObject({ state: 'suspended', throttle: 'cool' });
    const warm = { readings: { ...away, gpuCelsius: known(80) }, programs: 1, monotonicMs: 1e6 + 5_000 };
    expect(decide(first.memory, input(warm)).decision).toMatchObject({ state: 'suspended' });
    const cool = { ...warm, readings: { ...away, gpuCelsius: known(77) } };
    expect(decide(first.memory, input(cool)).decision).toMatchObject({ state: 'claimed', throttle: 'none' });
    const still = decide(first.memory, input({ ...hot, monotonicMs: 1e6 + 60_000 }));
    expect(still.decision).toMatchObject({ state: 'vacating', reason: 'hot' });
  });

  test('a reading that fails for a moment costs no job, one that stays away does', () => {
    const blind = { readings: { ...away, idleSeconds: unknown('gone') }, programs: 1 };
    const first = decide(freshMemory, input(blind));
    expect(first.decision).toMatchObject({ state: 'claimed', reason: 'person-unknown', acceptsWork: false });
    const later = decide(first.memory, input({ ...blind, monotonicMs: 1e6 + 30_000 }));
    expect(later.decision).toMatchObject({ state: 'vacating', reason: 'person-unknown' });
  });
});

describe('whatever happens', () => {
  /** The same numbers every time. */
  function dice(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    };
  }

  /** A life of a machine: readings come and go, jobs start where they may, programs end when told, or later. */
  function* life(seed: number, steps: number, profile: OwnerProfile, wishes: boolean) {
    const roll = dice(seed);
    const chance = (part: number) => roll() < part;
    const rules = config(profile, { suspendSeconds: chance(0.5) ? 0 : 20, neverWith: ['game'] });
    let memory = freshMemory;
    let programs = 0;
    let wish: OwnerWish = none;
    let idle = 1_000;
    for (let step = 0, ms = 1e6; step < steps; step += 1) {
      ms += Math.ceil(roll() * 6_000);
      idle = chance(0.004) ? 0 : idle + 3;
      if (wishes && chance(0.02))
        wish = [none, paused, { kind: 'drained' as const }][Math.floor(roll() * 3)] ?? none;
      const readings: Readings = {
        ...away,
        idleSeconds: chance(0.004) ? unknown('lost') : known(idle),
        apps: known(chance(0.003) ? ['game'] : []),
        gpuCelsius: known(chance(0.004) ? 85 : 70),
        otherGpuUse: known(chance(0.003) ? 'other' : null),
      };
      const given = input({ nowMs: noon + ms, monotonicMs: ms, config: rules, wish, readings, programs });
      const { memory: next, decision } = decide(memory, given);
      memory = next;
      yield { given, decision, memory };
      if (decision.acceptsWork && chance(0.3)) programs += 1;
      if (decision.kill) programs = 0;
      else if (programs > 0 && chance(decision.vacate ? 0.1 : 0.02)) programs -= 1;
    }
  }
  const seeds = Array.from({ length: 20 }, (_, at) => at + 1);

  test('no work is taken while the owner is there, or may be', () => {
    let steps = 0;
    for (const seed of seeds) {
      for (const { given, decision } of life(seed, 400, seed % 2 ? 'desktop' : 'night', true)) {
        const { idleSeconds, apps } = given.readings;
        const isThere = !idleSeconds.known || idleSeconds.value < given.config.idleSeconds;
        if (isThere || (apps.known && apps.value.length > 0) || given.wish.kind !== 'none') {
          expect(decision.acceptsWork).toBe(false);
          steps += 1;
        }
      }
    }
    expect(steps).toBeGreaterThan(1_000);
  });

  test('after a sensed stop no work begins within the time of rest', () => {
    let begins = 0;
    for (const seed of seeds) {
      let stoppedAtMs: number | null = null;
      let accepted = false;
      for (const { given, decision } of life(seed, 2_000, 'desktop', false)) {
        if (accepted && !decision.acceptsWork) stoppedAtMs = given.monotonicMs;
        if (!accepted && decision.acceptsWork && stoppedAtMs !== null) {
          begins += 1;
          expect(given.monotonicMs - stoppedAtMs).toBeGreaterThanOrEqual(given.config.settleSeconds * 1_000);
        }
        accepted = decision.acceptsWork;
      }
    }
    expect(begins).toBeGreaterThan(20);
  });

  test('a pause lasts until it is undone, and what runs is gone within the grace time', () => {
    for (const seed of seeds) {
      const roll = dice(seed);
      let { memory } = decide(freshMemory, input({ programs: 1 }));
      for (let step = 0, ms = 1e6; step < 300; step += 1, ms += roll() * 1e6) {
        const readings = { ...away, idleSeconds: known(roll() * 1e6) };
        const made = decide(memory, input({ wish: paused, readings, monotonicMs: ms, nowMs: noon + ms }));
        expect(made.decision).toMatchObject({ state: 'owner', reason: 'paused', acceptsWork: false });
        memory = made.memory;
      }
      const resumed = decide(memory, input({ monotonicMs: 1e9 })).decision;
      expect(resumed).toMatchObject({ state: 'unclaimed', acceptsWork: true });
    }
  });

  test('a program that has been told to end is killed at the latest when its time is over', () => {
    let kills = 0;
    for (const seed of seeds) {
      let since: number | null = null;
      for (const { given, decision, memory } of life(seed, 2_000, 'desktop', true)) {
        if (!memory.vacating) since = null;
        else since ??= given.monotonicMs;
        if (since === null) continue;
        const overMs = since + (given.config.vacateGraceSeconds + 1) * 1_000;
        if (given.monotonicMs >= overMs) {
          expect(decision.kill).toBe(true);
          kills += 1;
        }
      }
    }
    expect(kills).toBeGreaterThan(0);
  });

  test('the same input and memory always give the same decision, and the memory given is not touched', () => {
    for (const { given, memory } of life(7, 200, 'desktop', true)) {
      const before = structuredClone(memory);
      expect(decide(memory, given)).toEqual(decide(memory, given));
      expect(memory).toEqual(before);
    }
  });
});
