import fc from 'fast-check';
import { expect, test } from 'vitest';
import { estimateJob, type EstimateInput } from './estimate.ts';

const now = new Date('2026-01-01T00:00:00Z');
const base: EstimateInput = {
  now,
  timeLimitSeconds: 3_600,
  holdMicros: 1_000_000n,
  ratesPerHourMicros: [360_000n, 720_000n],
  highestRateMicros: 1_000_000n,
  pastRuns: [],
  expectedStart: null,
};
const runs = (...seconds: number[]) => seconds.map((runSeconds) => ({ runSeconds, waitSeconds: 4 }));

test('of a program that never ran before only the limits are known, and that is said', () => {
  expect(estimateJob(base)).toMatchObject({
    past_runs: 0,
    run_low_seconds: 0,
    run_high_seconds: 3_600,
    cost_low_micros: '0',
    cost_high_micros: '720000',
    wait_low_seconds: 0,
    wait_high_seconds: null,
    finish_latest: null,
  });
});

test('earlier runs narrow it: time from them, cost from the cheapest and the dearest machine', () => {
  const many = runs(...Array.from({ length: 21 }, (_, index) => 90 + index));
  expect(estimateJob({ ...base, pastRuns: many })).toMatchObject({
    past_runs: 21,
    run_low_seconds: 92,
    run_high_seconds: 108,
    cost_low_micros: '9200',
    cost_high_micros: '21600',
    wait_high_seconds: 4,
    finish_latest: new Date(now.getTime() + 112_000).toISOString(),
  });
});

test('one run alone gives a wider range than itself', () => {
  const { run_low_seconds: low, run_high_seconds: high } = estimateJob({ ...base, pastRuns: runs(100) });
  expect([low, high]).toEqual([80, 125]);
});

test('without a free machine the wait is until one is, or unknown', () => {
  const busy = { ...base, ratesPerHourMicros: [], pastRuns: runs(10, 10, 10, 10, 10) };
  expect(estimateJob(busy)).toMatchObject({ wait_high_seconds: null, finish_latest: null });
  const expectedStart = new Date(now.getTime() + 60_000);
  expect(estimateJob({ ...busy, expectedStart })).toMatchObject({
    wait_high_seconds: 60,
    finish_latest: new Date(now.getTime() + 70_000).toISOString(),
  });
});

test('no estimate is above the limits, and no range is upside down', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ runSeconds: fc.nat(100_000), waitSeconds: fc.nat(10_000) }), { maxLength: 30 }),
      fc.integer({ min: 1, max: 10_000 }),
      fc.array(fc.bigInt({ min: 0n, max: 10_000_000n }), { maxLength: 4 }),
      (pastRuns, timeLimitSeconds, ratesPerHourMicros) => {
        const estimate = estimateJob({ ...base, pastRuns, timeLimitSeconds, ratesPerHourMicros });
        expect(BigInt(estimate.cost_low_micros) <= BigInt(estimate.cost_high_micros)).toBe(true);
        expect(BigInt(estimate.cost_high_micros) <= base.holdMicros).toBe(true);
        expect(estimate.run_low_seconds).toBeLessThanOrEqual(estimate.run_high_seconds);
        expect(estimate.run_high_seconds).toBeLessThanOrEqual(timeLimitSeconds);
      },
    ),
  );
});
