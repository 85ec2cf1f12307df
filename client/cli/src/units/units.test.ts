import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, formatSeconds, parseDuration, parseSince } from './durations.ts';
import { formatAsked, formatBytes, formatThere, parseSizeMib } from './sizes.ts';
import { editDistance, nearest } from './similar.ts';

describe('durations', () => {
  test.each([
    ['90s', 90],
    ['10m', 600],
    ['1h30m', 5_400],
    ['2d', 172_800],
    ['1.5h', 5_400],
    ['1H', 3_600],
    ['0s', 0],
  ])('%s is %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  test.each(['', '10', '10 m', 'm', '1m1h', '-5s', '1h30', 'forever', '1e3s'])('%j is not one', (text) => {
    expect(parseDuration(text)).toBeNull();
  });

  test('what is printed for a limit can be typed back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), (seconds) => {
        expect(parseDuration(formatSeconds(seconds))).toBe(seconds);
      }),
    );
  });

  test('running times are short to read', () => {
    expect([0, 900, 12_000, 250_000, 3_600_000, 7_500_000, 180_000_000].map(formatDuration)).toEqual([
      '0.0s',
      '0.9s',
      '12s',
      '4m 10s',
      '1h',
      '2h 5m',
      '2d 2h',
    ]);
  });

  test('a moment is a duration ago or a timestamp', () => {
    const now = Date.parse('2026-03-02T12:00:00Z');
    expect(parseSince('24h', now)).toBe('2026-03-01T12:00:00.000Z');
    expect(parseSince('2026-03-01T12:00:00+02:00', now)).toBe('2026-03-01T10:00:00.000Z');
    expect(parseSince('2026-03-01', now)).toBe('2026-03-01T00:00:00.000Z');
    for (const text of ['yesterday', '2026-13-01', '5', 'Mar 1']) expect(parseSince(text, now)).toBeNull();
  });
});

describe('sizes', () => {
  test.each([
    ['24GB', 22_889],
    ['24', 22_889],
    ['24gb', 22_889],
    ['24 GB', 22_889],
    ['4GiB', 4_096],
    ['512MiB', 512],
    ['512MB', 489],
    ['1TiB', 1_048_576],
    ['0.5GiB', 512],
    ['80g', 76_294],
  ])('%s is %d MiB', (text, mib) => {
    expect(parseSizeMib(text)).toBe(mib);
  });

  test.each(['', 'GB', '-1GB', '1.2.3GB', '5XB', '1e3', '4 0GB'])('%j is not one', (text) => {
    expect(parseSizeMib(text)).toBeNull();
  });

  test('a card sold as 24 GB satisfies --vram 24GB, and not 24GiB', () => {
    const rtx4090Mib = 24_564;
    expect(parseSizeMib('24GB')).toBeLessThanOrEqual(rtx4090Mib);
    expect(parseSizeMib('24GiB')).toBeGreaterThan(rtx4090Mib);
  });

  test('what a machine shows can be asked for and is there', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_024, max: 2_000_000 }), (mib) => {
        expect(parseSizeMib(formatThere(mib))).toBeLessThanOrEqual(mib);
      }),
    );
    expect([24_564, 81_559, 81_920, 65_536].map(formatThere)).toEqual(['24 GB', '80 GB', '80 GB', '64 GB']);
  });

  test('what was asked for is shown as it was typed', () => {
    for (const text of ['24 GB', '80 GB', '4 GiB', '1.5 GB', '512 MiB']) {
      expect(formatAsked(parseSizeMib(text) ?? 0)).toBe(text);
    }
  });

  test('file sizes are decimal', () => {
    expect([0, 999, 1_000, 14_200, 999_600, 1_230_000_000].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '14 kB',
      '1.0 MB',
      '1.2 GB',
    ]);
  });
});

describe('near matches', () => {
  test('a swap, a miss, an extra or a wrong letter is one step', () => {
    for (const word of ['satus', 'sttaus', 'sstatus', 'stitus']) expect(editDistance(word, 'status')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });

  test('the nearest is named, and nothing when all are far', () => {
    expect(nearest('staus', ['submit', 'status', 'logs'])).toBe('status');
    expect(nearest('--vrma', ['--gpu', '--vram', '--cpus'])).toBe('--vram');
    expect(nearest('frobnicate', ['submit', 'status'])).toBeNull();
    expect(nearest('x', ['y'])).toBeNull(); // would fit everything of one letter
  });
});
