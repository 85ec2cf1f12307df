import { expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';

test('delays double up to the maximum and never fall below half of it', () => {
  const options = { baseMs: 100, maxMs: 1_000 };
  expect([0, 1, 2, 3, 4, 50].map((attempt) => backoffMs(attempt, options, () => 1))).toEqual([
    100, 200, 400, 800, 1_000, 1_000,
  ]);
  expect(backoffMs(4, options, () => 0)).toBe(500);
});
