import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CronError, nextFiring } from './next-firing.ts';

const next = (cron: string, timezone: string, after: string) =>
  nextFiring(cron, timezone, new Date(after))?.toISOString() ?? null;

describe('the next time of a cron line', () => {
  test('is local time: the same hour in summer and in winter', () => {
    expect(next('0 9 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z')).toBe('2026-03-29T07:00:00.000Z');
    expect(next('0 9 * * *', 'Europe/Berlin', '2026-03-27T12:00:00Z')).toBe('2026-03-28T08:00:00.000Z');
  });

  test('an hour that the clock skips fires at the change, once', () => {
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z')).toBe('2026-03-29T01:00:00.000Z');
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-03-29T01:00:00Z')).toBe('2026-03-30T00:30:00.000Z');
  });

  test('an hour that comes twice fires once', () => {
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z')).toBe('2026-10-25T00:30:00.000Z');
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z')).toBe('2026-10-26T01:30:00.000Z');
  });

  test('a day of the month and a day of the week: either is enough, as in crontab', () => {
    expect(next('0 0 13 * 5', 'UTC', '2026-01-01T00:00:00Z')).toBe('2026-01-02T00:00:00.000Z');
  });

  test('a line that never comes true has none; one that cannot be read is refused', () => {
    expect(next('0 0 30 2 *', 'UTC', '2026-01-01T00:00:00Z')).toBeNull();
    for (const line of ['61 * * * *', '* * * *', 'a b c d e']) {
      expect(() => next(line, 'UTC', '2026-01-01T00:00:00Z')).toThrow(CronError);
    }
    expect(() => next('* * * * *', 'Nowhere/Land', '2026-01-01T00:00:00Z')).toThrow(CronError);
  });

  test('always lies ahead, is a whole minute, and is the minute that the line names', () => {
    const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu');
    fc.assert(
      fc.property(
        fc.date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true }),
        fc.integer({ min: 0, max: 59 }),
        zones,
        (after, minute, zone) => {
          const at = nextFiring(`${minute} * * * *`, zone, after);
          if (!at) throw new Error('each hour has such a minute');
          expect(at.getTime()).toBeGreaterThan(after.getTime());
          expect(at.getTime() - after.getTime()).toBeLessThanOrEqual(2 * 3_600_000);
          expect(at.getTime() % 60_000).toBe(0);
          const local = new Intl.DateTimeFormat('en', { timeZone: zone, minute: 'numeric' }).format(at);
          expect(Number(local)).toBe(minute);
        },
      ),
      { numRuns: 300 },
    );
  });
});
