import { describe, expect, it } from 'vitest';
import { ledgerEffect, ledgerTitle } from './ledger-words.ts';

describe('movements of money in words', () => {
  it('what is reserved and what is given back stays the renter’s own', () => {
    expect(ledgerEffect('renter_available', 'renter_held')).toBe('within');
    expect(ledgerEffect('renter_held', 'renter_available')).toBe('within');
  });

  it('what is paid in comes, what a machine and the market get goes', () => {
    expect(ledgerEffect('stripe_clearing', 'renter_available')).toBe('in');
    expect(ledgerEffect('renter_held', 'provider_held_back')).toBe('out');
    expect(ledgerEffect('renter_held', 'platform_fees')).toBe('out');
    expect(ledgerTitle('fee')).toBe('Fee of the market');
  });
});
