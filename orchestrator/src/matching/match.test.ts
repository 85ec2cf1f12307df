import type { GpuId, JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { explain } from './explain.ts';
import { askedGigabytes, failedFilters, offeredGigabytes } from './filters.ts';
import { isModel, type JobNeeds, type MachineView, needsWith } from './machine-view.ts';
import { Matcher, match, rank } from './match.ts';

const anyNeeds: JobNeeds = needsWith({ gpus: 1, maxPricePerHourMicros: 1_000_000n });

function machine(name: string, cards: [string, number][], overrides: Partial<MachineView> = {}): MachineView {
  return {
    id: `prov_${name}` satisfies ProviderId,
    ownerId: 'user_owner' satisfies UserId,
    name,
    state: 'online',
    cpuMilli: 16_000,
    cpuMilliFree: 16_000,
    memoryMib: 65_536,
    memoryMibFree: 65_536,
    pricePerGpuHourMicros: 350_000n,
    pricePerCpuHourMicros: 20_000n,
    gpus: cards.map(([card, memoryMib], index) => ({
      id: `gpu_${name}${index}` satisfies GpuId,
      name: card,
      memoryMib,
      simulated: true,
      driverVersion: null,
      computeCapability: null,
      freeMilli: 1_000,
    })),
    spotPercent: 100,
    sharesGpus: false,
    region: '',
    cudaVersion: null,
    diskMibFree: 100_000,
    tier: 'community',
    reliabilityMilli: 1_000,
    cachedImages: [],
    availability: 'open',
    awayInMs: null,
    ...overrides,
  };
}

const rtx4090: [string, number] = ['NVIDIA GeForce RTX 4090', 24_564];
const a100: [string, number] = ['NVIDIA A100 80GB PCIe', 81_920];

function job(id: string, needs: Partial<JobNeeds> = {}, avoid: ProviderId | null = null) {
  return { id: `job_${id}` satisfies JobId, needs: { ...anyNeeds, ...needs }, avoid };
}

describe('placing jobs', () => {
  test('two jobs of one call never get the same GPU', () => {
    const placements = match([job('a'), job('b'), job('c')], [machine('one', [rtx4090, rtx4090])]);
    expect(placements.map(({ jobId }) => jobId)).toEqual(['job_a', 'job_b']);
    expect(new Set(placements.flatMap(({ gpuIds }) => gpuIds)).size).toBe(2);
  });

  test('the cheaper machine wins, then the one that wastes less GPU memory', () => {
    const dear = machine('dear', [rtx4090], { pricePerGpuHourMicros: 500_000n });
    const big = machine('big', [a100]);
    const small = machine('small', [rtx4090]);
    expect(rank(anyNeeds, [dear, big, small]).map(({ name }) => name)).toEqual(['small', 'big', 'dear']);
  });

  test('a job goes elsewhere than to the machine that has just failed it, but back to it when there is no other', () => {
    const one = machine('one', [rtx4090]);
    const two = machine('two', [rtx4090], { pricePerGpuHourMicros: 400_000n });
    expect(match([job('a', {}, one.id)], [one, two])[0]?.providerId).toBe(two.id);
    expect(match([job('a', {}, one.id)], [one])[0]?.providerId).toBe(one.id);
  });

  test('between equal machines a job goes where it strands less: whole machines stay whole', () => {
    const started = machine('b-started', [rtx4090, rtx4090, rtx4090, rtx4090], {
      gpus: machine('b-started', [rtx4090, rtx4090, rtx4090, rtx4090]).gpus.map((gpu, index) => ({
        ...gpu,
        freeMilli: index > 0 ? 1_000 : 0,
      })),
    });
    const whole = machine('a-whole', [rtx4090, rtx4090, rtx4090, rtx4090]);
    const matcher = new Matcher();
    // The market has seen jobs that need all four cards of a machine: one of those must still find one.
    matcher.match(
      Array.from({ length: 20 }, (_, index) => job(`big${index}`, { gpus: 4 })),
      [],
    );
    expect(matcher.match([job('small')], [whole, started])[0]?.providerId).toBe(started.id);
  });

  test('the smallest fitting cards of a mixed machine are taken', () => {
    const mixed = machine('mixed', [a100, rtx4090]);
    expect(match([job('a', { minVramMib: 20_000 })], [mixed])[0]?.gpuIds).toEqual(['gpu_mixed1']);
  });

  test('the rate is that of all GPUs together', () => {
    const placement = match([job('a', { gpus: 2 })], [machine('one', [rtx4090, rtx4090])])[0];
    expect(placement?.ratePerHourMicros).toBe(700_000n);
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
            expect(needs.reduce((sum, { cpuMilli }) => sum + cpuMilli, 0)).toBeLessThanOrEqual(
              target.cpuMilli,
            );
            expect(needs.reduce((sum, { memoryMib }) => sum + memoryMib, 0)).toBeLessThanOrEqual(
              target.memoryMib,
            );
            for (const [index, placement] of here.entries()) {
              expect(failedFilters(target, needs[index] ?? anyNeeds)).toEqual([]);
              expect(placement.gpuIds.length).toBe(needs[index]?.gpus);
            }
          }
        },
      ),
    );
  });
});

describe('GPU models', () => {
  test.each([
    ['NVIDIA GeForce RTX 4090', 'RTX 4090', true],
    ['NVIDIA GeForce RTX 4090', 'rtx4090', true],
    ['NVIDIA GeForce RTX 4090', 'NVIDIA GeForce RTX 4090', true],
    ['NVIDIA GeForce RTX 4090', '4090', true],
    ['NVIDIA GeForce RTX 4090 Laptop GPU', 'RTX 4090', false],
    ['NVIDIA GeForce RTX 4070 Ti', 'RTX 4070', false],
    ['NVIDIA A100 80GB PCIe', 'A100', true],
    ['NVIDIA A100-SXM4-40GB', 'a100', true],
    ['NVIDIA A1000', 'A100', false],
    ['NVIDIA H100 80GB HBM3', 'H100', true],
    ['NVIDIA H100 80GB HBM3', 'H200', false],
    ['NVIDIA H100 80GB HBM3', ' ', false],
  ])('a card %s asked for as %s: %s', (card, model, expected) => {
    expect(isModel(card, model)).toBe(expected);
  });
});

describe('why a job waits', () => {
  test('80 GB on a market of 24 GB cards: says so, and what would change it', () => {
    const waiting = explain({ ...anyNeeds, minVramMib: 76_294 }, [machine('one', [rtx4090, rtx4090])], 3);
    expect(waiting.position).toBe(3);
    expect(waiting.filters).toEqual([
      { filter: 'vram', excluded: 1, sole: 1, sentence: '1 machine: less than 80 GB of GPU memory' },
    ]);
    expect(waiting.suggestion).toContain('--vram 24GB');
  });

  test('a busy machine is waited for, and no change is suggested', () => {
    const busy = machine('one', [rtx4090], { cpuMilliFree: 0 });
    const waiting = explain(anyNeeds, [busy], 1);
    expect(waiting.filters.map(({ filter }) => filter)).toEqual(['busy']);
    expect(waiting.suggestion).toBeNull();
    expect(waiting.summary).toContain('busy');
  });

  test('a price that is too low is told with the price that would do', () => {
    const waiting = explain({ ...anyNeeds, maxPricePerHourMicros: 100_000n }, [machine('one', [rtx4090])], 1);
    expect(waiting.filters.map(({ filter }) => filter)).toEqual(['price']);
    expect(waiting.suggestion).toContain('--max-price 0.35');
  });

  test('a job that rests after a spoiled try says why and for how long, and not that it is about to start', () => {
    const backoff = { seconds: 3.2, why: 'The machine could not run the job.' };
    const waiting = explain(anyNeeds, [machine('one', [rtx4090])], 1, backoff);
    expect(waiting.summary).toBe('The machine could not run the job. The job is tried again in 4 s.');
  });

  test('an empty market is told apart from one that is asleep', () => {
    expect(explain(anyNeeds, [], 1).summary).toContain('No machine has joined');
    const asleep = explain(anyNeeds, [machine('one', [rtx4090], { state: 'offline' })], 1);
    expect(asleep.summary).toBe('No machine is online.');
    expect(asleep.suggestion).toContain('one');
  });

  test('whatever --vram is suggested is satisfied by the card it was suggested for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 512, max: 200_000 }), (mib) => {
        const asMib = (Number.parseFloat(offeredGigabytes(mib)) * 1e9) / 1_048_576;
        expect(Math.ceil(asMib)).toBeLessThanOrEqual(mib);
      }),
    );
    expect([24_564, 81_920, 8_192, 81_559].map(offeredGigabytes)).toEqual([
      '24 GB',
      '80 GB',
      '8 GB',
      '80 GB',
    ]);
    expect(askedGigabytes(76_294)).toBe('80 GB');
  });
});
