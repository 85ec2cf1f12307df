/** A whole number, such as `2`; null when it is not one. */
export function parseWhole(text: string): number | null {
  return /^\d{1,9}$/.test(text.trim()) ? Number(text) : null;
}

/** A number with at most six decimals, such as `4` or `0.5`; null when it is not one. */
export function parseDecimal(text: string): number | null {
  return /^(?:\d{1,9}(?:\.\d{1,6})?|\.\d{1,6})$/.test(text.trim()) ? Number(text) : null;
}

/**
 * Thousandths in a share of one GPU, written as a part (`0.25`), a percentage (`25%`) or in thousandths (`250m`);
 * null when it is not one, or not above 0 and at most 1.
 */
export function parseShareMilli(text: string): number | null {
  const match = /^(\d{1,4}(?:\.\d{1,3})?|\.\d{1,3})\s*(m|%)?$/.exec(text.trim());
  if (!match?.[1]) return null;
  const scale = match[2] === 'm' ? 1 : match[2] === '%' ? 10 : 1_000;
  const milli = Number(match[1]) * scale;
  const whole = Math.round(milli);
  return Math.abs(milli - whole) < 1e-6 && whole >= 1 && whole <= 1_000 ? whole : null;
}

/** A share as it can be typed again: `0.25`. */
export function formatShare(milli: number): string {
  return String(milli / 1_000);
}

/** A part of one, in thousandths of exactness, written as `0.95` or `95%`; null when it is not one. */
export function parsePart(text: string): number | null {
  const match = /^(\d{1,3}(?:\.\d{1,3})?|\.\d{1,3})\s*(%)?$/.exec(text.trim());
  if (!match?.[1]) return null;
  const value = Number(match[1]) / (match[2] ? 100 : 1);
  const rounded = Math.round(value * 1_000) / 1_000;
  return Math.abs(value - rounded) < 1e-9 && rounded <= 1 ? rounded : null;
}

/** A part of one as it can be typed again: `95%`, `99.5%`. */
export function formatPercent(part: number): string {
  return `${Math.round(part * 1_000) / 10}%`;
}

/** `true` or `false`; also `yes` and `no`. Null for anything else. */
export function parseYesNo(text: string): boolean | null {
  const word = text.trim().toLowerCase();
  if (word === 'true' || word === 'yes') return true;
  return word === 'false' || word === 'no' ? false : null;
}

/** Numbers separated by commas, such as exit codes: `1,137`; null when one is not a whole number. */
export function parseWholeList(text: string): number[] | null {
  const numbers = text.split(',').map(parseWhole);
  return numbers.every((number) => number !== null) ? numbers : null;
}

/** Names of which any will do, separated by `|` or commas: `RTX 4090|A100`; null when there is none. */
export function parseNames(text: string): string[] | null {
  const names = text
    .split(/[|,]/)
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return names.length > 0 ? names : null;
}

/** Names as they can be typed again: `RTX 4090|A100`. */
export function formatNames(names: readonly string[]): string {
  return names.join('|');
}
