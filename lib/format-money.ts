const microsPerUnit = 1_000_000n;

/**
 * Money for reading at a glance: cents from ten cents up, four decimals below, and every digit of amounts
 * under a hundredth of a cent, so that a real cost never reads as nothing. Rounded half up.
 */
export function formatMoney(micros: bigint): string {
  const size = micros < 0n ? -micros : micros;
  if (size === 0n) return '$0.00';
  if (size >= microsPerUnit / 10n) return formatMoneyFixed(micros, 2);
  return formatMoneyFixed(micros, size < 100n ? 6 : 4);
}

/** Money with exactly `decimals` digits (0 to 6) after the point, rounded half up: for figures that tick. */
export function formatMoneyFixed(micros: bigint, decimals: number): string {
  const step = 10n ** BigInt(6 - decimals);
  const size = micros < 0n ? -micros : micros;
  const rounded = ((size + step / 2n) / step) * step;
  const sign = micros < 0n && rounded > 0n ? '−' : '';
  const fraction = (rounded % microsPerUnit).toString().padStart(6, '0').slice(0, decimals);
  const whole = (rounded / microsPerUnit).toString().replace(/\B(?=(\d{3})+$)/g, ',');
  return `${sign}$${whole}${decimals > 0 ? `.${fraction}` : ''}`;
}

/** Money to the last micro, at least two decimals: for receipts, where the digits must add up. */
export function formatMoneyExact(micros: bigint): string {
  const text = formatMoneyFixed(micros, 6);
  return text.replace(/0{1,4}$/, '');
}

/** A price per hour: `$0.40/h`, with more decimals only where the price has them. */
export function formatRate(microsPerHour: bigint): string {
  return `${formatMoneyExact(microsPerHour)}/h`;
}
