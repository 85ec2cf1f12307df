import { describe, expect, it } from 'vitest';
import type { TopUpItem } from '../types/billing-view.ts';
import { freshTopUp } from './billing-freshness.ts';

const now = new Date('2026-01-01T12:00:00Z');
const before = (minutes: number) => new Date(now.getTime() - minutes * 60_000);

function topUp(change: Partial<TopUpItem>): TopUpItem {
  return {
    id: 'topup_01k00000000000000000000000',
    method: 'checkout',
    state: 'open',
    amountMicros: 20_000_000n,
    url: null,
    failure: null,
    createdAt: before(1),
    settledAt: null,
    ...change,
  };
}

describe('news of a top-up', () => {
  it('is one that is under way, until whoever left its page does not come back', () => {
    expect(freshTopUp([topUp({})], now)).not.toBeNull();
    expect(freshTopUp([topUp({ createdAt: before(20) })], now)).toBeNull();
  });

  it('is one that has just arrived, however long it took', () => {
    const arrived = { state: 'succeeded', createdAt: before(30) } as const;
    expect(freshTopUp([topUp({ ...arrived, settledAt: before(1) })], now)).not.toBeNull();
    expect(freshTopUp([topUp({ ...arrived, settledAt: before(5) })], now)).toBeNull();
  });

  it('is never a charge that the market made by itself', () => {
    expect(freshTopUp([topUp({ method: 'automatic' })], now)).toBeNull();
  });
});
