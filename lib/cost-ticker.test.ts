import { describe, expect, it } from 'vitest';
import type { CostReading } from '../types/cost-view.ts';
import { costAfter, steadyCost } from './cost-ticker.ts';

const running: CostReading = {
  accruedMicros: 1_000n,
  microsPerHour: 3_600_000n, // one micro per millisecond
  billable: true,
  capMicros: null,
};

describe('the ticking cost', () => {
  it('grows with the rate while money moves', () => {
    expect(costAfter(running, 0)).toBe(1_000n);
    expect(costAfter(running, 250)).toBe(1_250n);
    expect(costAfter(running, 3_600_000)).toBe(3_601_000n);
  });

  it('rounds down to whole micros, so that it never runs ahead of the bill', () => {
    expect(costAfter({ ...running, microsPerHour: 1n }, 3_599_999)).toBe(1_000n);
    expect(costAfter(running, 0.9)).toBe(1_000n);
  });

  it('stands still when nothing is billed, and when the clock went backwards', () => {
    expect(costAfter({ ...running, billable: false }, 60_000)).toBe(1_000n);
    expect(costAfter(running, -5_000)).toBe(1_000n);
  });

  it('stops at the cap', () => {
    expect(costAfter({ ...running, capMicros: 1_100n }, 60_000)).toBe(1_100n);
  });

  it('holds still instead of stepping back by a rounding artefact', () => {
    expect(steadyCost(running, 0, 1_500n)).toBe(1_500n);
  });

  it('shows a correction that is larger than two seconds of cost', () => {
    expect(steadyCost(running, 0, 9_000n)).toBe(1_000n);
  });

  it('shows the exact final amount once nothing is billed any more', () => {
    expect(steadyCost({ ...running, billable: false }, 0, 1_001n)).toBe(1_000n);
  });
});
