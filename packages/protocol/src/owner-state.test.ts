import { expect, test } from 'vitest';
import {
  beyondOwnerLimits,
  noOwnerLimits,
  ownerReasonCodes,
  ownerReasons,
  refusesImage,
} from './owner-state.ts';

const job = {
  image: 'python:3.12',
  gpus: 1,
  class: 'on-demand',
  timeLimitSeconds: 3_600,
  pricePerHourMicros: 300_000n,
} as const;

test('an owner without limits takes any job', () => {
  expect(beyondOwnerLimits(job, noOwnerLimits)).toBeNull();
});

test.each([
  [{ refuse_kinds: ['gpu'] }, /GPU jobs/],
  [{ refuse_kinds: ['on-demand'] }, /on-demand/],
  [{ most_seconds: 3_599 }, /3599 s/],
  [{ least_price_per_hour_micros: '300001' }, /least price/],
  [{ images_denied: ['python'] }, /image/],
] as const)('a job beyond a limit is refused with the limit: %j', (limits, reason) => {
  expect(beyondOwnerLimits(job, { ...noOwnerLimits, ...structuredClone(limits) } as never)).toMatch(reason);
});

test.each([
  ['python:3.12', 'python', true],
  ['docker.io/library/python@sha256:ab', 'python', true],
  ['python:3.12', 'python:3.11', false],
  ['pythonic', 'python', false],
  ['me/tool:1', 'me/*', true],
  ['ghcr.io/me/tool', 'ghcr.io/me/*', true],
  ['ghcr.io/mean/tool', 'ghcr.io/me/*', false],
  ['ghcr.io/me/tool', 'ghcr.io/*', true],
  ['evil/ghcr.io', 'ghcr.io/*', false],
  ['localhost:5000/a/b', 'localhost:5000/*', true],
])('%s is %s: %s', (image, pattern, matches) => {
  expect(refusesImage(image, { images_allowed: [], images_denied: [pattern] })).toBe(matches);
  expect(refusesImage(image, { images_allowed: [pattern], images_denied: [] })).toBe(!matches);
});

test('no reason tells a renter how its owner lives', () => {
  for (const code of ownerReasonCodes)
    expect(ownerReasons[code].renter).not.toMatch(/keyboard|mouse|screen|battery|disk|hot/i);
});
