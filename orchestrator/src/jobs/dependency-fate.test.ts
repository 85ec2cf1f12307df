import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fateOf, waitsFor } from './dependency-fate.ts';

const target = (
  condition: 'success' | 'any' | 'failure',
  unfinished: number,
  succeeded: number,
  total = 3,
) => ({
  condition,
  unfinished,
  succeeded,
  total,
});

describe('what has become of a dependency', () => {
  test.each([
    [target('success', 1, 0, 1), 'open'],
    [target('success', 0, 1, 1), 'met'],
    [target('success', 0, 0, 1), 'failed'],
    [target('failure', 0, 0, 1), 'met'],
    [target('failure', 0, 1, 1), 'failed'],
    [target('any', 0, 0, 1), 'met'],
    // A group: success fails with its first member, the rest is known at its end.
    [target('success', 2, 0), 'failed'],
    [target('failure', 2, 0), 'open'],
    [target('any', 1, 2), 'open'],
    [target('success', 0, 3), 'met'],
  ] as const)('%j is %s', (one, fate) => {
    expect(fateOf(one)).toBe(fate);
  });

  test('when all have ended nothing is open, and exactly one of success and failure is met', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 50 }), (total, some) => {
        const succeeded = Math.min(some, total);
        const fates = (['success', 'failure'] as const).map((condition) =>
          fateOf(target(condition, 0, succeeded, total)),
        );
        expect(fates.toSorted()).toEqual(['failed', 'met']);
        expect(fateOf(target('any', 0, succeeded, total))).toBe('met');
      }),
    );
  });

  test('only what is open is waited for, in words', () => {
    const common = { id: 1, metAt: null, onJobId: null, onGroupId: null, name: 'sweep' };
    expect(waitsFor([{ ...common, ...target('any', 1, 1) }])).toEqual([
      'sweep must end; it has not ended yet, 2 of 3 ended.',
    ]);
    expect(waitsFor([{ ...common, ...target('any', 0, 3) }])).toEqual([]);
  });
});
