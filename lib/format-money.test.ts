import { describe, expect, it } from 'vitest';
import { formatMoney, formatMoneyExact, formatMoneyFixed, formatRate } from './format-money.ts';

describe('money on the screen', () => {
  it('shows cents from ten cents up and groups thousands', () => {
    expect(formatMoney(12_345_678_900n)).toBe('$12,345.68');
    expect(formatMoney(1_000_000n)).toBe('$1.00');
    expect(formatMoney(350_000n)).toBe('$0.35');
  });

  it('shows a small cost with enough digits to be more than nothing', () => {
    expect(formatMoney(19_444n)).toBe('$0.0194');
    expect(formatMoney(600n)).toBe('$0.0006');
    expect(formatMoney(42n)).toBe('$0.000042');
    expect(formatMoney(1n)).toBe('$0.000001');
  });

  it('shows zero plainly and never a negative zero', () => {
    expect(formatMoney(0n)).toBe('$0.00');
    expect(formatMoneyFixed(-4n, 4)).toBe('$0.0000');
  });

  it('marks a negative amount before the currency sign', () => {
    expect(formatMoney(-2_500_000n)).toBe('−$2.50');
  });

  it('rounds half up at the last digit shown', () => {
    expect(formatMoneyFixed(1_005_000n, 2)).toBe('$1.01');
    expect(formatMoneyFixed(999_950n, 4)).toBe('$1.0000');
    expect(formatMoneyFixed(1_499_999n, 0)).toBe('$1');
  });

  it('keeps every micro on a receipt', () => {
    expect(formatMoneyExact(1_234_567n)).toBe('$1.234567');
    expect(formatMoneyExact(400_000n)).toBe('$0.40');
    expect(formatRate(312_500n)).toBe('$0.3125/h');
  });
});
