import { describe, expect, it } from 'vitest';
import { anyAmount, chargeAmount, refundAmount, typedAmount } from './amount.ts';

describe('amounts that people type', () => {
  it('are micros to the last digit', () => {
    expect(chargeAmount('20')).toEqual({ micros: '20000000' });
    expect(chargeAmount(' $7.50 ')).toEqual({ micros: '7500000' });
    expect(anyAmount('0.000001')).toEqual({ micros: '1' });
  });

  it('say what is wrong with them in words', () => {
    expect(chargeAmount('twenty')).toEqual({ error: 'Write an amount in dollars, such as 20 or 7.50.' });
    expect(chargeAmount('1.005')).toEqual({ error: 'Must be whole cents.' });
    expect(chargeAmount('0.10')).toEqual({ error: 'Must be at least 0.50 USD.' });
    expect(chargeAmount('10000.01')).toEqual({ error: 'Must be at most 10,000 USD.' });
    expect(refundAmount('0.001')).toEqual({ error: 'Must be whole cents.' });
    expect(anyAmount('0')).toEqual({ error: 'Must be more than 0.' });
  });

  it('come back as they were typed', () => {
    expect(typedAmount(7_500_000n)).toBe('7.50');
    expect(typedAmount(20_000_000n)).toBe('20.00');
    expect(typedAmount(1n)).toBe('0.000001');
  });
});
