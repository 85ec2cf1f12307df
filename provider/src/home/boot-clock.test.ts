import { expect, test } from 'vitest';
import { addMs, laterOf, msBetween, systemBootClock } from './boot-clock.ts';

const boot = { wallMs: 1_000_000, bootId: 'a', bootMs: 5_000 };

test('within one boot a wall clock that is set changes no duration', () => {
  const later = { wallMs: 9_999_999, bootId: 'a', bootMs: 6_500 };
  expect(msBetween(boot, later)).toBe(1_500);
  expect(msBetween(later, boot)).toBe(-1_500);
});

test('after another boot, or without a boot clock, the wall clock is what is left', () => {
  expect(msBetween(boot, { wallMs: 1_060_000, bootId: 'b', bootMs: 10 })).toBe(60_000);
  const without = { wallMs: 1_000_000, bootId: null, bootMs: null };
  expect(msBetween(without, addMs(without, 250))).toBe(250);
});

test('the later of two moments is kept', () => {
  const later = addMs(boot, 1);
  expect(laterOf(boot, later)).toBe(later);
  expect(laterOf(later, boot)).toBe(later);
});

test('the machine tells a time that does not run backwards', () => {
  const first = systemBootClock.now();
  expect(msBetween(first, systemBootClock.now())).toBeGreaterThanOrEqual(0);
  if (process.platform === 'linux') expect(first.bootMs).toBeGreaterThan(0);
});
