import fc from 'fast-check';
import { expect, test } from 'vitest';
import { costMicros, holdMicros, ratePerHourMicros, splitCost, wholeRateMicros } from './price.ts';

const prices = { pricePerGpuHourMicros: 350_000n, pricePerCpuHourMicros: 20_000n, spotPercent: 60 };
const whole = { gpuMilli: 1_000, class: 'on-demand' } as const;

test('a GPU job pays per GPU and a CPU job pays per core', () => {
  expect(ratePerHourMicros({ ...whole, gpus: 2, cpuMilli: 8_000 }, prices)).toBe(700_000n);
  expect(ratePerHourMicros({ ...whole, gpus: 0, cpuMilli: 1_500 }, prices)).toBe(30_000n);
});

test('a share of a GPU pays that share', () => {
  expect(ratePerHourMicros({ ...whole, gpus: 1, gpuMilli: 250, cpuMilli: 1_000 }, prices)).toBe(87_500n);
});

test('a spot job pays what its owner left of the price, a fraction of a micro more at most', () => {
  expect(ratePerHourMicros({ ...whole, class: 'spot', gpus: 1, cpuMilli: 1_000 }, prices)).toBe(210_000n);
  const odd = { ...prices, pricePerGpuHourMicros: 1n };
  expect(ratePerHourMicros({ ...whole, class: 'spot', gpus: 1, cpuMilli: 1_000 }, odd)).toBe(1n);
});

test('an hour costs exactly the hourly rate', () => {
  expect(costMicros(3_600_000, 350_000n)).toBe(350_000n);
  expect(costMicros(1_000, 360_000n)).toBe(100n);
});

test('no bill within the time limit and the price limit exceeds the hold', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 8 }),
      fc.integer({ min: 100, max: 256_000 }),
      fc.bigInt({ min: 0n, max: 100_000_000n }),
      fc.integer({ min: 1, max: 604_800 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (gpus, cpuMilli, limit, seconds, partOfPrice, partOfTime) => {
        const needs = { ...whole, gpus, cpuMilli };
        const unit = (limit * BigInt(Math.floor(partOfPrice * 1_000_000))) / 1_000_000n;
        const rate = ratePerHourMicros(needs, {
          pricePerGpuHourMicros: unit,
          pricePerCpuHourMicros: unit,
          spotPercent: 100,
        });
        const billedMs = Math.floor(partOfTime * seconds * 1_000);
        expect(costMicros(billedMs, rate)).toBeLessThanOrEqual(
          holdMicros(wholeRateMicros(needs, limit), seconds),
        );
      },
    ),
  );
});

test('fee and earning add up to the cost', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 10n ** 15n }),
      fc.integer({ min: 0, max: 10_000 }),
      (cost, feeBps) => {
        const { earnedMicros, feeMicros } = splitCost(cost, feeBps);
        expect(earnedMicros + feeMicros).toBe(cost);
        expect(feeMicros).toBeGreaterThanOrEqual(0n);
        expect(earnedMicros).toBeGreaterThanOrEqual(0n);
      },
    ),
  );
});
