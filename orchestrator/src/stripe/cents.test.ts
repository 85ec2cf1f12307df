import { InvariantError } from '@computefabric/runtime/invariant';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { currencyProblem, fromCents, toCents, upToCents, wholeCents } from './cents.ts';

test('cents and micros are the same amount in both directions', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 99_999_999 }), (cents) => toCents(fromCents(cents)) === cents),
  );
});

test('a part of a cent is never rounded away unseen', () => {
  expect(() => toCents(10_001n)).toThrow(InvariantError);
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n }), (micros) => {
      const [below, above] = [wholeCents(micros), upToCents(micros)];
      return below <= micros && micros <= above && above - below <= 10_000n && above % 10_000n === 0n;
    }),
  );
});

test('a currency without hundredths is refused for that reason, and any other because the books are in usd', () => {
  for (const currency of ['jpy', 'krw', 'vnd', 'kwd'])
    expect(currencyProblem(currency)).toContain('no hundredths');
  expect(currencyProblem('eur')).toContain('usd');
  expect(currencyProblem('usd')).toBeNull();
});
