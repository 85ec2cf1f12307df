import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TaskClass } from './demand.ts';
import { levelOf, ShareWorth } from './share-worth.ts';

function sharesOf(popularity: Record<number, number>): TaskClass[] {
  return Object.entries(popularity).map(([gpuMilli, share]) => ({
    cpuMilli: 0,
    memoryMib: 0,
    gpuCount: 1,
    gpuMilli: Number(gpuMilli),
    kinds: [],
    popularity: share,
  }));
}

function idleGpus(count: number): Float64Array {
  const gpus = new Float64Array(101);
  gpus[100] = count;
  return gpus;
}

function strandedOf(popularity: Record<number, number>, gpus = idleGpus(1_000)) {
  const worth = new ShareWorth();
  worth.solve(sharesOf(popularity), gpus);
  return (milli: number) => worth.strandedMilli[levelOf(milli)] ?? Number.NaN;
}

describe('the worth of free shares', () => {
  test('a share that no task fits into is stranded whole', () => {
    const stranded = strandedOf({ 810: 0.5, 1000: 0.5 });
    expect(stranded(190)).toBeCloseTo(190, 0);
    expect(stranded(1_000)).toBe(0);
    expect(stranded(0)).toBe(0);
  });

  test('after half a pair, the other half is as good as sold', () => {
    const stranded = strandedOf({ 500: 1 });
    expect(stranded(500)).toBeLessThan(15);
    expect(stranded(490)).toBeCloseTo(490, 0);
  });

  test('a gap that few tasks can fill is worth little, one that many can fill is worth much', () => {
    const few = strandedOf({ 800: 0.99, 200: 0.01 });
    const many = strandedOf({ 800: 0.5, 200: 0.5 });
    expect(few(200)).toBeGreaterThan(150);
    expect(many(200)).toBeLessThan(50);
  });

  test('gaps that are there already count: the more of them, the less a task for them is needed', () => {
    const gpus = idleGpus(100);
    gpus[levelOf(200)] = 5_000;
    expect(strandedOf({ 800: 0.5, 200: 0.5 }, gpus)(200)).toBeGreaterThan(
      strandedOf({ 800: 0.5, 200: 0.5 })(200) + 50,
    );
  });

  test('with nothing known of the tasks, only whole GPUs are worth something', () => {
    const worth = new ShareWorth();
    worth.solve([], idleGpus(10));
    expect(worth.strandedMilli[100]).toBe(0);
    expect(worth.strandedMilli[50]).toBeCloseTo(500, 0);
  });

  test('whatever is asked for and free, what is stranded lies between nothing and all of the share', () => {
    const someDemand = fc.dictionary(
      fc.integer({ min: 1, max: 1_000 }).map(String),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      { minKeys: 1, maxKeys: 12 },
    );
    fc.assert(
      fc.property(someDemand, fc.array(fc.nat(1_000), { minLength: 101, maxLength: 101 }), (demand, gpus) => {
        const worth = new ShareWorth();
        for (let round = 0; round < 2; round += 1) {
          worth.solve(sharesOf(demand), gpus);
          for (const [level, milli] of worth.strandedMilli.entries()) {
            expect(milli).toBeGreaterThanOrEqual(0);
            expect(milli).toBeLessThanOrEqual(level * 10 + 1e-6);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});
