import fc from 'fast-check';
import { expect, test } from 'vitest';
import { costMicros, holdMicros } from '../pricing/price.ts';
import { billedMs, leftSeconds, meteredMs } from './usage.ts';

const start = new Date('2026-01-01T00:00:00Z');
const after = (ms: number) => new Date(start.getTime() + ms);
const heard = { silentAt: null, silentMs: 0 };

test('a moved try is paid for up to its last checkpoint, never beyond its end, its limit, or without one', () => {
  const span = {
    startedAt: start,
    exitedAt: after(50_000),
    now: after(60_000),
    timeLimitSeconds: 40,
    ...heard,
  };
  expect(billedMs('provider-left', span, after(30_000))).toBe(30_000);
  expect(billedMs('preempted', span, after(30_000))).toBe(30_000);
  expect(billedMs('preempted', span, after(55_000))).toBe(40_000);
  expect(billedMs('provider-left', span, after(-1))).toBe(0);
  expect(billedMs('provider-left', span, null)).toBe(0);
  for (const reason of ['provider-lost', 'provider-error', 'superseded', 'platform-error'] as const)
    expect(billedMs(reason, span, after(30_000))).toBe(0);
  // The final save begins after the end of the program: all of its work is in it.
  const done = { ...span, timeLimitSeconds: 100 };
  expect(billedMs('provider-left', done, after(51_000))).toBe(meteredMs(done));
});

test('however often a job moves and fails, at any prices within its limit, its bills never exceed its hold', () => {
  const step = fc.record({
    reason: fc.constantFrom('provider-left', 'preempted', 'provider-lost', 'exited-nonzero' as const),
    ranMs: fc.integer({ min: 0, max: 400_000 }),
    savedMs: fc.option(fc.integer({ min: 0, max: 400_000 })),
    silentMs: fc.integer({ min: 0, max: 1_000 }),
    price: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 0, max: 3 }),
      fc.bigInt({ min: 0n, max: 50_000_000n }),
      (steps, timeLimitSeconds, retries, maxRate) => {
        const hold = holdMicros(maxRate, timeLimitSeconds * (1 + retries));
        let usedMs = 0;
        let failures = 0;
        let cost = 0n;
        for (const { reason, ranMs, savedMs, silentMs, price } of steps) {
          const span = {
            startedAt: start,
            exitedAt: after(ranMs),
            now: after(ranMs + 5),
            silentAt: null,
            silentMs,
            timeLimitSeconds: leftSeconds({ timeLimitSeconds, usedMs }),
          };
          const billed = billedMs(reason, span, savedMs === null ? null : after(savedMs));
          expect(Number.isInteger(billed)).toBe(true);
          cost += costMicros(billed, (maxRate * BigInt(Math.floor(price * 1_000))) / 1_000n);
          if (reason === 'exited-nonzero') {
            failures += 1;
            usedMs = 0;
            if (failures > retries) break;
          } else {
            usedMs += billed;
            if (leftSeconds({ timeLimitSeconds, usedMs }) < 1) break;
          }
        }
        expect(cost).toBeLessThanOrEqual(hold);
      },
    ),
  );
});
