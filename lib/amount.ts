import { formatUsd, parseUsd } from '@computefabric/protocol/money';
import { chargeMicros } from '@computefabric/protocol/user-api/billing';

/** An amount as it was typed: micros as the API takes them, or what is wrong with it. */
export type Amount = { micros: string } | { error: string };

/** An amount that a card can be charged: whole cents, 0.50 to 10,000 USD. */
export function chargeAmount(text: string): Amount {
  const amount = anyAmount(text);
  if ('error' in amount) return amount;
  const parsed = chargeMicros.safeParse(amount.micros);
  if (parsed.success) return amount;
  const problem = parsed.error.issues[0]?.message ?? '';
  return { error: problem.startsWith('must be whole cents') ? wholeCents : `M${problem.slice(1)}.` };
}

/** An amount of at least one cent that a card can be given back. */
export function refundAmount(text: string): Amount {
  const amount = anyAmount(text);
  if ('error' in amount) return amount;
  return amount.micros.endsWith('0000') ? amount : { error: wholeCents };
}

/** Any amount above zero. */
export function anyAmount(text: string): Amount {
  const micros = parseUsd(text);
  if (micros === null) return { error: 'Write an amount in dollars, such as 20 or 7.50.' };
  return micros === 0n ? { error: 'Must be more than 0.' } : { micros: String(micros) };
}

const wholeCents = 'Must be whole cents.';

/** Micros as one would type them: `7.50`. */
export function typedAmount(micros: bigint): string {
  return formatUsd(micros).slice(1);
}
