import { z } from 'zod';

/** One currency unit is 1,000,000 micros. All money in memory is a `bigint` of micros, never a float. */
export const MICROS_PER_UNIT = 1_000_000n;

/** The one currency of a market. Cents exist only where money leaves it (Stripe). */
export const CURRENCY = 'USD';

/** Micros as they travel: a decimal string, because JSON numbers lose digits above 2^53. */
export const microsString = z
  .string()
  .regex(/^-?(0|[1-9]\d{0,17})$/, 'must be a whole number of micros (1 USD = 1000000) written as a string')
  .meta({ id: 'Micros', description: 'Money in micros (1 USD = 1,000,000 micros), as a decimal string.' });

/** Micros in a request: zero or more. */
export const positiveMicrosString = microsString.refine(
  (text) => !text.startsWith('-'),
  'must not be negative',
);

/**
 * Reads an amount a person typed, such as `0.40` or `$1.5`, into micros.
 * Returns null when it is not a plain non-negative amount with at most six decimals.
 */
export function parseUsd(text: string): bigint | null {
  const match = /^\$?(\d{1,12})(?:\.(\d{1,6}))?$/.exec(text.trim());
  if (!match?.[1]) return null;
  return BigInt(match[1]) * MICROS_PER_UNIT + BigInt((match[2] ?? '').padEnd(6, '0'));
}

/**
 * Writes micros for a person: two decimals, and as many more (up to six) as are needed to show every
 * micro, so that a small bill is never shown as $0.00.
 */
export function formatUsd(micros: bigint): string {
  const sign = micros < 0n ? '-' : '';
  const absolute = micros < 0n ? -micros : micros;
  const whole = absolute / MICROS_PER_UNIT;
  const fraction = (absolute % MICROS_PER_UNIT)
    .toString()
    .padStart(6, '0')
    .replace(/0{1,4}$/, '');
  return `${sign}$${whole}.${fraction}`;
}

/** The smaller of two amounts; `Math.min` takes no bigint. */
export function lesserOf(a: bigint, b: bigint): bigint {
  return a > b ? b : a;
}

/** The larger of two amounts. */
export function greaterOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
