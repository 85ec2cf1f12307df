import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, formatSeconds, parseDuration, parseSince } from './durations.ts';
import {
  formatNames,
  formatPercent,
  formatShare,
  parseDecimal,
  parseNames,
  parsePart,
  parseShareMilli,
  parseWhole,
  parseWholeList,
  parseYesNo,
} from './quantities.ts';
import {
  formatAsked,
  formatBytes,
  formatSizeRange,
  formatThere,
  parseSizeMib,
  parseSizeRange,
} from './sizes.ts';
import { editDistance, nearest } from './similar.ts';
import {
  compareVersions,
  formatVersion,
  isVersionAtLeast,
  parseVersion,
  reportedVersion,
} from './versions.ts';

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

  test('what was asked for can be typed again for exactly the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20_000_000 }), (mib) => {
        expect(parseSizeMib(formatAsked(mib))).toBe(mib);
      }),
    );
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

describe('ranges of sizes', () => {
  test.each([
    ['24GB', 22_889, null],
    ['24GB..', 22_889, null],
    ['24..', 22_889, null],
    ['24GB..80GB', 22_889, 81_920],
    ['24 GB .. 80 GiB', 22_889, 81_920],
    ['..48GB', 0, 49_152],
    ['..16384MiB', 0, 16_384],
    ['16GiB..16GiB', 16_384, 16_384],
    ['0..', 0, null],
  ])('%s is from %d MiB to %s', (text, fromMib, toMib) => {
    expect(parseSizeRange(text)).toEqual({ fromMib, toMib });
  });

  test.each([
    '',
    '..',
    '80GB..24GB',
    '24GB..48GB..80GB',
    'big',
    '24GB..big',
    'big..24GB',
    '24GB-80GB',
    '..0',
  ])('%j is not one', (text) => {
    expect(parseSizeRange(text)).toBeNull();
  });

  test('a card sold under the name of either end lies within', () => {
    const within = parseSizeRange('24GB..80GB');
    for (const sold of [24_564, 49_140, 81_559, 81_920]) {
      expect(sold).toBeGreaterThanOrEqual(within?.fromMib ?? Number.NaN);
      expect(sold).toBeLessThanOrEqual(within?.toMib ?? Number.NaN);
    }
  });

  test('what is shown can be typed again for exactly the same', () => {
    const size = fc.integer({ min: 0, max: 1_048_576 });
    fc.assert(
      fc.property(size, fc.option(size), (fromMib, more) => {
        const range = { fromMib, toMib: more === null ? null : fromMib + more + 1 };
        expect(parseSizeRange(formatSizeRange(range))).toEqual(range);
      }),
    );
  });
});

describe('versions', () => {
  test('are compared number by number, not letter by letter', () => {
    const ordered = ['8', '8.6', '8.9', '12.0', '535.54', '535.104', '535.104.5', '550'].map((text) => {
      const version = parseVersion(text);
      if (!version) throw new Error(text);
      return version;
    });
    for (const [index, version] of ordered.entries()) {
      for (const [other, floor] of ordered.entries()) {
        expect(isVersionAtLeast(formatVersion(version), floor)).toBe(index >= other);
        expect(Math.sign(compareVersions(version, floor))).toBe(Math.sign(index - other));
      }
    }
  });

  test.each([
    [null, '8.0', false],
    ['', '0', false],
    ['[N/A]', '0', false],
    ['535.104.05', '535.104.5', true],
    ['535', '535.0', true],
    ['535', '535.1', false],
    ['535.104-server', '535.104', true],
    ['535.104-server', '535.104.1', false],
  ])('%j reaches a floor of %s: %s', (reported, floor, expected) => {
    expect(isVersionAtLeast(reported, parseVersion(floor) ?? [])).toBe(expected);
  });

  test('what begins with a version is told from what does not', () => {
    expect(reportedVersion('535.104.05-server')).toEqual([535, 104, 5]);
    expect(reportedVersion('N/A')).toBeNull();
    expect(reportedVersion(null)).toBeNull();
    for (const text of ['', '8.', '.8', '8.9.1.2.3', 'v8', '8,9', '-1', '12345'])
      expect(parseVersion(text)).toBeNull();
  });

  test('what is shown can be typed again, and comparing agrees with asking for a floor', () => {
    const version = fc.array(fc.integer({ min: 0, max: 9_999 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(version, version, (one, other) => {
        expect(parseVersion(formatVersion(one))).toEqual(one);
        expect(isVersionAtLeast(formatVersion(one), other)).toBe(compareVersions(one, other) >= 0);
      }),
    );
  });
});

describe('shares, parts, numbers and lists', () => {
  test.each([
    ['0.25', 250],
    ['.5', 500],
    ['250m', 250],
    ['25%', 250],
    ['1', 1_000],
    ['0.001', 1],
  ])('a share of %s is %d thousandths', (text, milli) => {
    expect(parseShareMilli(text)).toBe(milli);
  });

  test.each(['', '0', '0m', '1.5', '1001m', '-0.5', '0.0001', 'half', '0.5g'])(
    '%j is not a share',
    (text) => {
      expect(parseShareMilli(text)).toBeNull();
    },
  );

  test('a reliability is a part or a percentage', () => {
    expect(['0.95', '95%', '99.5%', '1', '0', '100%'].map(parsePart)).toEqual([0.95, 0.95, 0.995, 1, 0, 1]);
    for (const text of ['', '95', '101%', '1.01', '-1%', 'good', '0.12345'])
      expect(parsePart(text)).toBeNull();
  });

  test('shares and parts can be typed again for exactly the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), (milli) => {
        expect(parseShareMilli(formatShare(milli))).toBe(milli);
        expect(parsePart(formatPercent(milli / 1_000))).toBe(milli / 1_000);
      }),
    );
  });

  test('names of which any will do are divided by a bar or a comma', () => {
    expect(parseNames('RTX 4090|A100, H100 ,')).toEqual(['RTX 4090', 'A100', 'H100']);
    for (const text of ['', ' ', '|', ',']) expect(parseNames(text)).toBeNull();
    const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9 ]{0,10}[A-Za-z0-9]$/);
    fc.assert(
      fc.property(fc.array(name, { minLength: 1 }), (names) => {
        expect(parseNames(formatNames(names))).toEqual(names);
      }),
    );
  });

  test('numbers are plain: no sign, no exponent, no spaces inside', () => {
    expect([parseWhole('12'), parseDecimal('0.5'), parseDecimal('.5')]).toEqual([12, 0.5, 0.5]);
    for (const text of ['', '1.5', '-1', '1e3', '1 2', '0x10']) expect(parseWhole(text)).toBeNull();
    for (const text of ['', '-1', '1e3', '1,5', '.', '1.']) expect(parseDecimal(text)).toBeNull();
    expect(parseWholeList('1, 137')).toEqual([1, 137]);
    expect([parseWholeList('1,'), parseWholeList('x')]).toEqual([null, null]);
    expect(['yes', 'True', 'no', 'false', 'maybe', ''].map(parseYesNo)).toEqual([
      true,
      true,
      false,
      false,
      null,
      null,
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
