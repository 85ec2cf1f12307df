import { expect, test } from 'vitest';
import { OwnerConfigError, parseOwnerConfig } from './owner-config.ts';
import { parsePause } from './wish.ts';

const defaults = { profile: 'desktop', timeZone: 'UTC' } as const;
const parse = (value: unknown) => parseOwnerConfig(JSON.stringify(value), defaults);

test('an empty file is the profile, and a field that is given replaces only itself', () => {
  const plain = parseOwnerConfig('', defaults);
  expect(plain).toMatchObject({ profile: 'desktop', idleSeconds: 300, settleSeconds: 300 });
  expect(parse({ idle_seconds: 60 })).toEqual({ ...plain, idleSeconds: 60 });
  expect(parse({ profile: 'server' })).toMatchObject({ profile: 'server', idleSeconds: 0 });
  expect(parse({ profile: 'night' }).schedule.windows).toHaveLength(1);
  expect(parse({ most_gpu_celsius: null }).mostGpuCelsius).toBeNull();
});

test('limits on jobs are in the units of the market', () => {
  const jobs = { least_price_per_hour: '0.10', refuse: ['spot'], ask: ['/bin/true'] };
  expect(parse({ jobs })).toMatchObject({
    limits: { least_price_per_hour_micros: '100000', refuse_kinds: ['spot'] },
    hook: { command: ['/bin/true'], seconds: 5 },
  });
});

test.each([
  [{ idel_seconds: 3 }, 'idel_seconds'],
  [{ idle_seconds: -1 }, 'idle_seconds'],
  [{ time_zone: 'Mars/Base' }, 'time_zone: is not a time zone'],
  [{ schedule: [{ days: ['mon'], from: '25:00', to: '07:00' }] }, 'schedule.0.from'],
  [{ schedule: [{ days: ['mon'], from: '07:00', to: '07:00' }] }, 'schedule.0.to'],
  [{ jobs: { images_denied: ['no spaces'] } }, 'jobs.images_denied.0'],
  [{ jobs: { least_price_per_hour: 'much' } }, 'jobs.least_price_per_hour'],
])('a wrong field is named: %j', (value, named) => {
  expect(() => parse(value)).toThrow(OwnerConfigError);
  expect(() => parse(value)).toThrow(named);
});

test('a file that is not JSON is said to be none', () => {
  expect(() => parseOwnerConfig('profile: desktop', defaults)).toThrow(/not JSON/);
});

test('a pause is read as people write it', () => {
  const now = Date.parse('2026-03-04T12:00:00Z');
  const pause = (text: string) => parsePause(text, now, 'UTC');
  expect(pause('')).toEqual({ kind: 'paused', untilMs: null, afterJob: false });
  expect(pause('1h')).toMatchObject({ untilMs: now + 3_600_000 });
  expect(pause('until 18:00')).toMatchObject({ untilMs: now + 6 * 3_600_000 });
  expect(pause('until 9:00')).toMatchObject({ untilMs: now + 21 * 3_600_000 });
  expect(pause('after-job')).toMatchObject({ untilMs: null, afterJob: true });
  expect(() => pause('a while')).toThrow(RangeError);
  expect(() => pause('until 26:00')).toThrow(RangeError);
});
