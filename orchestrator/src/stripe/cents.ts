import { invariant } from '@computefabric/runtime/invariant';

/** Stripe counts in hundredths of the currency unit, the ledger in millionths. */
export const MICROS_PER_CENT = 10_000n;
/** Stripe's least charge in USD. */
export const LEAST_CHARGE_MICROS = 500_000n;

/**
 * Micros as Stripe takes them.
 *
 * @throws InvariantError when they are no whole number of cents: a remainder stays in the ledger and must have
 *   been left out before.
 */
export function toCents(micros: bigint): number {
  invariant(micros % MICROS_PER_CENT === 0n, `${micros} micros are whole cents`);
  const cents = micros / MICROS_PER_CENT;
  invariant(cents <= BigInt(Number.MAX_SAFE_INTEGER), `${micros} micros are an amount that Stripe takes`);
  return Number(cents);
}

export function fromCents(cents: number): bigint {
  invariant(Number.isSafeInteger(cents), `${cents} cents are a whole number`);
  return BigInt(cents) * MICROS_PER_CENT;
}

/** As many whole cents as there are, in micros; the remainder stays where it is. */
export function wholeCents(micros: bigint): bigint {
  return micros - (micros % MICROS_PER_CENT);
}

/** The next whole cent, in micros. */
export function upToCents(micros: bigint): bigint {
  return wholeCents(micros + MICROS_PER_CENT - 1n);
}

/** ISO codes of currencies whose smallest unit is the unit itself, or a thousandth: they have no cents. */
const withoutCents = new Set(
  'bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf bhd iqd jod kwd lyd omr tnd'.split(' '),
);

/** Why money of this currency cannot be taken; null when it can. */
export function currencyProblem(currency: string): string | null {
  if (currency === 'usd') return null;
  return withoutCents.has(currency)
    ? `${currency} has no hundredths: amounts would be off by a factor. The market keeps its books in usd`
    : 'must be usd: the market keeps its books in that';
}
