import type { GpuId, GroupId, JobId, LeaseId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { newId } from '@computefabric/protocol/ids';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { testCard, testMachine } from '../testing/test-machine.ts';
import { failedFilters } from './filters.ts';
import { type JobNeeds, type MachineView, needsWith, type RunningLease } from './machine-view.ts';
import { Matcher, rank } from './match.ts';
import type { QueuedJob } from './queue/queued-job.ts';

const anyNeeds: JobNeeds = needsWith({ gpus: 1, maxPricePerHourMicros: 1_000_000n });

/** A machine with these cards that says nothing else about itself. */
function machine(name: string, cards: [string, number][], overrides: Partial<MachineView> = {}): MachineView {
  return testMachine(name, {
    gpus: cards.map(([card, memoryMib], index) =>
      testCard(name, {
        id: `gpu_${name}${index}` satisfies GpuId,
        name: card,
        memoryMib,
        driverVersion: null,
        computeCapability: null,
      }),
    ),
    region: '',
    cudaVersion: null,
    networks: ['none'],
    protection: { network_note: '', disk_limited: true, disk_note: '', sandbox: 'containers' },
    tier: 'community',
    reliabilityMilli: 1_000,
    ...overrides,
  });
}

/** The machine with a try that has these of its GPUs for so long. */
function busy(view: MachineView, gpus: number[], minutes: number, spot = false): MachineView {
  const lease: RunningLease = {
    id: newId('lease') as LeaseId,
    jobId: newId('job'),
    userId: 'user_other' satisfies UserId,
    gpuIds: gpus.map((index) => view.gpus[index]?.id).filter((id) => id !== undefined),
    gpuMilli: 1_000,
    cpuMilli: 1_000,
    memoryMib: 1_024,
    diskMib: 0,
    spot,
    stopping: false,
    endsInMs: minutes * 60_000,
  };
  return {
    ...view,
    cpuMilliFree: view.cpuMilliFree - 1_000,
    memoryMibFree: view.memoryMibFree - 1_024,
    gpus: view.gpus.map((gpu, index) => (gpus.includes(index) ? { ...gpu, freeMilli: 0 } : gpu)),
    running: [...view.running, lease],
  };
}

const rtx4090: [string, number] = ['NVIDIA GeForce RTX 4090', 24_564];
const a100: [string, number] = ['NVIDIA A100 80GB PCIe', 81_920];

let clock = 0;

function job(name: string, needs: Partial<JobNeeds> = {}, rest: Partial<QueuedJob> = {}): QueuedJob {
  clock += 1;
  return {
    id: `job_${name}` satisfies JobId,
    userId: 'user_renter' satisfies UserId,
    needs: { ...anyNeeds, ...needs },
    image: 'busybox',
    priority: 50,
    queuedAtMs: clock,
    backoffMs: 0,
    avoid: null,
    gang: null,
    savedState: null,
    ...rest,
  };
}

function matcherOf(queue: readonly QueuedJob[], machines: readonly MachineView[]): Matcher {
  const matcher = new Matcher();
  for (const view of machines) matcher.fleet.set(view, 0);
  for (const each of queue) matcher.enqueue(each, 0);
  return matcher;
}

/** What one pass places, in the order in which it decides. */
function match(queue: readonly QueuedJob[], machines: readonly MachineView[]) {
  return matcherOf(queue, machines).propose(1_000, 0).sets.flat();
}

const idsOf = (placements: readonly { jobId: JobId }[]) => placements.map(({ jobId }) => jobId);

describe('placing jobs', () => {
  test('two jobs of one pass never get the same GPU', () => {
    const placements = match([job('a'), job('b'), job('c')], [machine('one', [rtx4090, rtx4090])]);
    expect(idsOf(placements)).toEqual(['job_a', 'job_b']);
    expect(new Set(placements.flatMap(({ gpuIds }) => gpuIds)).size).toBe(2);
  });

  test('what was placed in one pass is taken in the next', () => {
    const matcher = matcherOf([job('a')], [machine('one', [rtx4090])]);
    expect(matcher.propose(10, 0).sets).toHaveLength(1);
    matcher.enqueue(job('b'), 0);
    expect(matcher.propose(10, 0).sets).toHaveLength(0);
    matcher.fleet.set(machine('one', [rtx4090]), 0); // it is free again
    expect(idsOf(matcher.propose(10, 0).sets.flat())).toEqual(['job_b']);
  });

  test('the cheaper machine wins, then the one that wastes less GPU memory', () => {
    const dear = machine('dear', [rtx4090], { pricePerGpuHourMicros: 500_000n });
    const big = machine('big', [a100]);
    const small = machine('small', [rtx4090]);
    expect(rank(anyNeeds, [dear, big, small]).map(({ name }) => name)).toEqual(['small', 'big', 'dear']);
    const order = match([job('a'), job('b'), job('c')], [dear, big, small]);
    expect(order.map(({ providerId }) => providerId)).toEqual([small.id, big.id, dear.id]);
  });

  test('a machine that spoils half of its tries must be less than half the price', () => {
    const flaky = machine('flaky', [rtx4090], { reliabilityMilli: 500, pricePerGpuHourMicros: 300_000n });
    const solid = machine('solid', [rtx4090], { pricePerGpuHourMicros: 500_000n });
    expect(match([job('a')], [flaky, solid])[0]?.providerId).toBe(solid.id);
    const cheap = { ...flaky, pricePerGpuHourMicros: 200_000n };
    expect(match([job('a')], [cheap, solid])[0]?.providerId).toBe(flaky.id);
  });

  test('of equally priced machines the one that has the image already is taken', () => {
    const cold = machine('a-cold', [rtx4090]);
    const warm = machine('b-warm', [rtx4090], { cachedImages: ['pytorch/pytorch:latest'] });
    const placed = match([job('a', {}, { image: 'pytorch/pytorch:latest' })], [cold, warm]);
    expect(placed[0]?.providerId).toBe(warm.id);
  });

  describe('a job that goes on from its saved state', () => {
    const gigabyte = 1_000_000_000;
    const keeper = machine('b-keeper', [rtx4090]);
    const other = machine('a-other', [rtx4090]);
    const resumes = (on: { providerId: ProviderId; bytes: number }[], rest: Partial<QueuedJob> = {}) =>
      job('a', {}, { savedState: { bytes: gigabyte, on }, ...rest });

    test('goes to the machine that still has it, of equal ones, and the proposal says how much is there', () => {
      const kept = [{ providerId: keeper.id, bytes: 750_000_000 }];
      const [placed] = match([resumes(kept)], [other, keeper]);
      expect(placed).toMatchObject({
        providerId: keeper.id,
        savedState: { bytes: gigabyte, thereBytes: 750_000_000 },
      });
      expect(match([job('a')], [other, keeper])[0]).toMatchObject({ providerId: other.id, savedState: null });
    });

    test('goes to a dearer one for it, and to a much cheaper one without it', () => {
      const kept = [{ providerId: keeper.id, bytes: gigabyte }];
      const priced = (name: string, pricePerGpuHourMicros: bigint) =>
        machine(name, [rtx4090], { pricePerGpuHourMicros });
      // 80 s on the line, against a run of 18 minutes: 7 %.
      const chosen = (price: bigint) =>
        match([resumes(kept)], [priced('a-cheap', price), keeper])[0]?.providerId;
      expect(chosen(340_000n)).toBe(keeper.id);
      expect(chosen(300_000n)).toBe('prov_a-cheap');
    });

    test('of two that have some of it goes to the one with more, unless that has no room', () => {
      const kept = [
        { providerId: other.id, bytes: 200_000_000 },
        { providerId: keeper.id, bytes: gigabyte },
      ];
      expect(match([resumes(kept)], [other, keeper])[0]?.providerId).toBe(keeper.id);
      expect(match([resumes(kept)], [other, busy(keeper, [0], 60)])[0]?.providerId).toBe(other.id);
    });

    test('does not go back at once to the machine that spoiled its last try, whatever lies there', () => {
      const kept = [{ providerId: keeper.id, bytes: gigabyte }];
      const spoiled = resumes(kept, { avoid: keeper.id });
      expect(match([spoiled], [other, keeper])[0]?.providerId).toBe(other.id);
      expect(match([spoiled], [keeper])[0]?.providerId).toBe(keeper.id);
    });
  });

  test('a job that may still run when the owner returns is not placed there', () => {
    const away = machine('one', [rtx4090], { awayInMs: 30 * 60_000 });
    expect(match([job('long', { timeLimitSeconds: 3_600 })], [away])).toEqual([]);
    expect(idsOf(match([job('short', { timeLimitSeconds: 1_200 })], [away]))).toEqual(['job_short']);
  });

  test('a machine that takes no work is not used, whatever its state', () => {
    const closed = [
      machine('paused', [rtx4090], { availability: 'paused' }),
      machine('owner is there', [rtx4090], { ownerAccepts: false }),
      machine('draining', [rtx4090], { state: 'draining' }),
      machine('offline', [rtx4090], { state: 'offline' }),
    ];
    expect(match([job('a')], closed)).toEqual([]);
  });

  test('a job goes elsewhere than to the machine that has just failed it, but back to it when there is no other', () => {
    const one = machine('one', [rtx4090]);
    const two = machine('two', [rtx4090], { pricePerGpuHourMicros: 400_000n });
    expect(match([job('a', {}, { avoid: one.id })], [one, two])[0]?.providerId).toBe(two.id);
    expect(match([job('a', {}, { avoid: one.id })], [one])[0]?.providerId).toBe(one.id);
  });

  test('between equal machines a job goes where it strands less: whole machines stay whole', () => {
    const four = [rtx4090, rtx4090, rtx4090, rtx4090];
    const matcher = new Matcher();
    // The market has seen jobs that need all four cards of a machine: one of those must still find one.
    for (let index = 0; index < 20; index += 1) matcher.enqueue(job(`big${index}`, { gpus: 4 }), 0);
    for (let index = 0; index < 20; index += 1) matcher.queue.remove(`job_big${index}`);
    const started = busy(machine('b-started', four), [0], 60);
    for (const view of [machine('a-whole', four), started]) matcher.fleet.set(view, 0);
    matcher.enqueue(job('small'), 0);
    expect(matcher.propose(1, 0).sets[0]?.[0]?.providerId).toBe(started.id);
  });

  test('the smallest fitting cards of a mixed machine are taken', () => {
    const mixed = machine('mixed', [a100, rtx4090]);
    const placed = match([job('a', { gpuModels: ['RTX 4090', 'A100'], minVramMib: 20_000 })], [mixed]);
    expect(placed).toHaveLength(1);
  });

  test('shares of a GPU are given only where its owner allows it, and never more than there is', () => {
    const quarter = { gpuMilli: 250 };
    const queue = Array.from({ length: 6 }, (_, index) => job(`q${index}`, quarter));
    expect(match(queue, [machine('own', [rtx4090])])).toEqual([]);
    expect(match(queue, [machine('shared', [rtx4090], { sharesGpus: true })])).toHaveLength(4);
  });

  test('what is placed always fits, whatever is asked and offered', () => {
    const someNeeds = fc.record({
      gpus: fc.integer({ min: 0, max: 4 }),
      gpuModels: fc.constantFrom<string[]>([], ['RTX 4090'], ['A100', 'H100']),
      minVramMib: fc.constantFrom(0, 24_000, 80_000),
      cpuMilli: fc.integer({ min: 100, max: 20_000 }),
      memoryMib: fc.integer({ min: 16, max: 80_000 }),
      maxPricePerHourMicros: fc.bigInt({ min: 0n, max: 900_000n }),
    });
    const someMachine = fc.record({
      cards: fc.array(fc.constantFrom(rtx4090, a100), { maxLength: 4 }),
      price: fc.bigInt({ min: 0n, max: 900_000n }),
      state: fc.constantFrom('online' as const, 'offline' as const),
    });
    fc.assert(
      fc.property(
        fc.array(someNeeds, { maxLength: 8 }),
        fc.array(someMachine, { maxLength: 4 }),
        (asks, has) => {
          const machines = has.map(({ cards, price, state }, index) =>
            machine(`m${index}`, cards, {
              state,
              pricePerGpuHourMicros: price,
              pricePerCpuHourMicros: price,
            }),
          );
          const queue = asks.map((needs, index) => job(`j${index}`, needs));
          const placements = match(queue, machines);
          const gpuIds = placements.flatMap((placement) => placement.gpuIds);
          expect(new Set(gpuIds).size).toBe(gpuIds.length);
          for (const target of machines) {
            const here = placements.filter(({ providerId }) => providerId === target.id);
            const needs = here.map(({ jobId }) => queue.find(({ id }) => id === jobId)?.needs ?? anyNeeds);
            const sum = (amount: (each: JobNeeds) => number) =>
              needs.reduce((all, each) => all + amount(each), 0);
            expect(sum(({ cpuMilli }) => cpuMilli)).toBeLessThanOrEqual(target.cpuMilli);
            expect(sum(({ memoryMib }) => memoryMib)).toBeLessThanOrEqual(target.memoryMib);
            for (const [index, placement] of here.entries()) {
              expect(failedFilters(target, needs[index] ?? anyNeeds)).toEqual([]);
              expect(placement.gpuIds.length).toBe(needs[index]?.gpus);
            }
          }
          // And nothing is left waiting for which a machine is free.
          const placed = new Set(idsOf(placements));
          if (placements.length === 0) {
            for (const { id, needs } of queue.filter((each) => !placed.has(each.id))) {
              expect([id, machines.some((target) => failedFilters(target, needs).length === 0)]).toEqual([
                id,
                false,
              ]);
            }
          }
        },
      ),
    );
  });
});

describe('whose turn it is', () => {
  test('of one account the higher priority goes first, then who has waited longer', () => {
    const queue = [job('first'), job('second'), job('urgent', {}, { priority: 60 })];
    expect(idsOf(match(queue, [machine('one', [rtx4090, rtx4090])]))).toEqual(['job_urgent', 'job_first']);
  });

  test('a low priority waits longer, and not for ever', () => {
    const hour = 3_600_000;
    const low = job('low', {}, { priority: 0, queuedAtMs: 0 });
    const early = job('early', {}, { queuedAtMs: hour / 2 });
    const late = job('late', {}, { queuedAtMs: hour });
    const one = [machine('one', [rtx4090])];
    expect(idsOf(match([low, early], one))).toEqual(['job_early']);
    expect(idsOf(match([low, late], one))).toEqual(['job_low']);
  });

  test('between accounts the one that has less of the market goes first, however many jobs the other has', () => {
    const many = Array.from({ length: 8 }, (_, index) => job(`m${index}`));
    const few = [0, 1].map((index) => job(`f${index}`, {}, { userId: 'user_small' }));
    const placed = idsOf(match([...many, ...few], [machine('one', [rtx4090, rtx4090, rtx4090, rtx4090])]));
    expect(placed.filter((id) => id.startsWith('job_f'))).toHaveLength(2);
    expect(placed.filter((id) => id.startsWith('job_m'))).toHaveLength(2);
  });

  test('what an account has already counts: the scarcest of what it has decides', () => {
    const view = machine('one', [rtx4090, rtx4090, rtx4090]);
    const has = busy(view, [0], 60);
    const machines = [
      { ...has, running: has.running.map((lease) => ({ ...lease, userId: 'user_renter' as UserId })) },
    ];
    const queue = [job('more'), job('more2'), job('new', {}, { userId: 'user_new' })];
    expect(idsOf(match(queue, machines))[0]).toBe('job_new');
  });

  test('a spot job lets an on-demand job pass that came later, and is not passed for ever', () => {
    const spot = job('spot', { class: 'spot' }, { queuedAtMs: 0 });
    const soon = job('soon', {}, { queuedAtMs: 60_000 });
    const late = job('late', {}, { queuedAtMs: 7_200_000 });
    const one = [machine('one', [rtx4090])];
    expect(idsOf(match([spot, soon], one))).toEqual(['job_soon']);
    expect(idsOf(match([spot, late], one))).toEqual(['job_spot']);
  });

  test('a job in back-off lets others pass and comes back when it has ended', () => {
    const matcher = matcherOf(
      [job('resting', {}, { backoffMs: 5_000 }), job('ready')],
      [machine('one', [rtx4090])],
    );
    expect(idsOf(matcher.propose(10, 0).sets.flat())).toEqual(['job_ready']);
    expect(matcher.queue.wakeRested(4_000)).toBe(1_000);
    matcher.fleet.set(machine('one', [rtx4090]), 5_000);
    expect(matcher.queue.wakeRested(5_000)).toBeNull();
    expect(idsOf(matcher.propose(10, 5_000).sets.flat())).toEqual(['job_resting']);
  });
});

describe('the head of the line', () => {
  const four = machine('four', [rtx4090, rtx4090, rtx4090, rtx4090]);

  test('a job that would delay it is not started, one that ends in time is', () => {
    const half = busy(four, [0, 1], 60);
    const head = job('head', { gpus: 4 });
    const long = job('long', { timeLimitSeconds: 2 * 3_600 });
    const short = job('short', { timeLimitSeconds: 1_800 });
    expect(idsOf(match([head, long, short], [half]))).toEqual(['job_short']);
  });

  test('what it will not need may be used for as long as anybody likes', () => {
    const half = busy(four, [0, 1], 60);
    const head = job('head', { gpus: 3 });
    const long = job('long', { timeLimitSeconds: 24 * 3_600 });
    expect(idsOf(match([head, long], [half]))).toEqual(['job_long']);
  });

  test('stays first in later passes, while nothing has become free', () => {
    const matcher = matcherOf([job('head', { gpus: 4 })], [busy(four, [0, 1], 60)]);
    expect(matcher.propose(10, 0).sets).toEqual([]);
    matcher.enqueue(job('long', { timeLimitSeconds: 2 * 3_600 }), 0);
    expect(matcher.propose(10, 10).sets).toEqual([]);
  });

  test('starts as soon as its place is free', () => {
    const matcher = matcherOf([job('head', { gpus: 4 }), job('long')], [busy(four, [0, 1], 60)]);
    matcher.propose(10, 0);
    matcher.fleet.set(four, 1_000);
    expect(idsOf(matcher.propose(10, 1_000).sets.flat())).toEqual(['job_head']);
  });

  test('holds nothing up that goes to another machine', () => {
    const other = machine('other', [rtx4090]);
    expect(idsOf(match([job('head', { gpus: 4 }), job('long')], [busy(four, [0], 60), other]))).toEqual([
      'job_long',
    ]);
  });
});

describe('spot jobs give way', () => {
  test('to an on-demand job that fits nowhere else: the fewest that make room', () => {
    const two = machine('two', [rtx4090, rtx4090]);
    const full = busy(busy(two, [0], 60, true), [1], 30, true);
    const { sets, preemptions } = matcherOf([job('on-demand')], [full]).propose(10, 0);
    expect(sets).toEqual([]);
    expect(preemptions).toHaveLength(1);
    // The one with the longest time to go: it has done least.
    expect(preemptions[0]?.leaseIds).toEqual([full.running[0]?.id]);
  });

  test('not to another spot job, and not where a machine is free', () => {
    const full = busy(machine('one', [rtx4090]), [0], 60, true);
    expect(matcherOf([job('spot', { class: 'spot' })], [full]).propose(10, 0).preemptions).toEqual([]);
    const free = machine('free', [rtx4090]);
    expect(matcherOf([job('a')], [full, free]).propose(10, 0).preemptions).toEqual([]);
  });

  test('on-demand jobs never give way', () => {
    const full = busy(machine('one', [rtx4090]), [0], 60);
    expect(matcherOf([job('a')], [full]).propose(10, 0).preemptions).toEqual([]);
  });

  test('once asked, nobody else is asked for the same job while the first is on its way out', () => {
    const two = machine('two', [rtx4090, rtx4090]);
    const full = busy(busy(two, [0], 60, true), [1], 30, true);
    const matcher = matcherOf([job('a')], [full]);
    expect(matcher.propose(10, 0).preemptions).toHaveLength(1);
    matcher.fleet.set(
      { ...full, running: full.running.map((lease, index) => ({ ...lease, stopping: index === 0 })) },
      100,
    );
    expect(matcher.propose(10, 100).preemptions).toEqual([]);
  });

  test('what is left free by evictions is not taken by others before the job that asked', () => {
    const one = machine('one', [rtx4090]);
    const matcher = matcherOf([job('asked')], [busy(one, [0], 60, true)]);
    matcher.propose(10, 0);
    matcher.enqueue(job('later', {}, { userId: 'user_new' }), 500);
    matcher.fleet.set(one, 1_000);
    expect(matcher.propose(1, 1_000).sets.flat()).toHaveLength(1);
  });
});

describe('gangs', () => {
  const gang = (name: string, size: number, ranks = size, spoiledBy: UserId[] = []) =>
    Array.from({ length: ranks }, (_, rank) =>
      job(`${name}${rank}`, {}, { gang: { groupId: `group_${name}` satisfies GroupId, size, spoiledBy } }),
    );

  test('start all at once, each rank on a machine of its own, or not at all', () => {
    const three = ['a', 'b', 'c'].map((name) => machine(name, [rtx4090, rtx4090]));
    const [set] = matcherOf(gang('g', 3), three).propose(10, 0).sets;
    expect(new Set(set?.map(({ providerId }) => providerId)).size).toBe(3);
    const matcher = matcherOf(gang('g', 3), three.slice(0, 2));
    expect(matcher.propose(10, 0).sets).toEqual([]);
    // Nothing stays taken by the try.
    matcher.enqueue(job('single', { gpus: 2 }), 0);
    expect(idsOf(matcher.propose(10, 0).sets.flat())).toEqual(['job_single']);
  });

  test('wait for all their ranks', () => {
    const ranks = gang('g', 2);
    const machines = ['a', 'b'].map((name) => machine(name, [rtx4090]));
    const matcher = matcherOf(ranks.slice(0, 1), machines);
    expect(matcher.propose(10, 0).sets).toEqual([]);
    for (const rank of ranks.slice(1)) matcher.enqueue(rank, 0);
    expect(matcher.propose(10, 0).sets[0]).toHaveLength(2);
  });

  const ownedBy = (owner: UserId, ...names: string[]) =>
    names.map((name) => machine(name, [rtx4090], { ownerId: owner }));
  const placedOn = (queue: readonly QueuedJob[], machines: readonly MachineView[]) =>
    match(queue, machines)
      .map(({ providerId }) => providerId)
      .toSorted();

  test("never mix machines of their renter with machines of others, whom the renter's could have work unpaid", () => {
    const own = ownedBy(job('x').userId, 'own1', 'own2');
    const strange = ownedBy('user_stranger', 'else1');
    expect(placedOn(gang('g', 2), [...own.slice(0, 1), ...strange])).toEqual([]);
    expect(placedOn(gang('g', 2), [...own, ...strange])).toEqual(['prov_own1', 'prov_own2']);
    // A job alone harms nobody.
    expect(placedOn([job('alone')], own.slice(0, 1))).toEqual(['prov_own1']);
  });

  test('come back to an owner who spoiled one of their ranks only where all ranks are on the machines of that owner', () => {
    const again = (size: number) => gang('g', size, size, ['user_flaky']);
    const flaky = ownedBy('user_flaky', 'f1', 'f2');
    const sound = ownedBy('user_sound', 's1', 's2');
    expect(placedOn(again(2), [...flaky, ...sound.slice(0, 1)])).toEqual(['prov_f1', 'prov_f2']);
    expect(placedOn(again(2), [...flaky.slice(0, 1), ...sound])).toEqual(['prov_s1', 'prov_s2']);
    expect(placedOn(again(2), [...flaky.slice(0, 1), ...sound.slice(0, 1)])).toEqual([]);
    expect(placedOn(gang('h', 2), [...flaky.slice(0, 1), ...sound.slice(0, 1)])).toHaveLength(2);
  });

  test('that may not use a machine do not keep equal ones of others from it', () => {
    const machines = [...ownedBy(job('x').userId, 'own1'), ...ownedBy('user_stranger', 'else1')];
    const theirs = gang('h', 2).map((rank): QueuedJob => ({ ...rank, userId: 'user_third' }));
    expect(placedOn([...gang('g', 2), ...theirs], machines)).toEqual(['prov_else1', 'prov_own1']);
  });

  test('wait again when one rank leaves the queue', () => {
    const matcher = matcherOf(
      gang('g', 2),
      ['a', 'b'].map((name) => machine(name, [rtx4090])),
    );
    matcher.queue.remove('job_g1');
    expect(matcher.propose(10, 0).sets).toEqual([]);
  });
});

test('the limit of a pass is kept, and the rest is told of', () => {
  const queue = Array.from({ length: 5 }, (_, index) => job(`j${index}`));
  const matcher = matcherOf(queue, [
    machine(
      'one',
      Array.from({ length: 5 }, () => rtx4090),
    ),
  ]);
  const first = matcher.propose(3, 0);
  expect([first.sets.length, first.more]).toEqual([3, true]);
  const second = matcher.propose(3, 0);
  expect([second.sets.length, second.more]).toEqual([2, false]);
});

test('a floor of reliability holds to the last thousandth, also between machines that are alike in all else', () => {
  for (const records of [
    [951, 960],
    [960, 951],
  ]) {
    const machines = records.map((reliabilityMilli, index) =>
      machine(`m${index}`, [rtx4090], { reliabilityMilli }),
    );
    const placed = match([job('picky', { minReliabilityMilli: 960 })], machines);
    expect(placed.map(({ providerId }) => providerId)).toEqual([`prov_m${records.indexOf(960)}`]);
    expect(match([job('pickier', { minReliabilityMilli: 961 })], machines)).toEqual([]);
  }
});
