import { describe, expect, it } from 'vitest';
import { type CostFacts, readCost } from './job-cost.ts';

const at = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1_000);

const open: CostFacts['leases'][number] = {
  pricePerHourMicros: 360_000n, // 100 micros a second
  startedAt: at(0),
  exitedAt: null,
  endedAt: null,
  silentAt: null,
  silentMs: 0,
  costMicros: 0n,
};

const facts: CostFacts = { holdMicros: 1_000_000n, timeLimitSeconds: 3_600, leases: [open] };

describe('the cost of a job', () => {
  it('grows from the start of the program', () => {
    expect(readCost(facts, at(30))).toEqual({
      accruedMicros: 3_000n,
      microsPerHour: 360_000n,
      billable: true,
      capMicros: 1_000_000n,
    });
  });

  it('is nothing while the image is pulled', () => {
    expect(readCost({ ...facts, leases: [{ ...open, startedAt: null }] }, at(30))).toMatchObject({
      accruedMicros: 0n,
      billable: false,
    });
  });

  it('stands still once the program has ended, while results are saved', () => {
    expect(readCost({ ...facts, leases: [{ ...open, exitedAt: at(10) }] }, at(30))).toMatchObject({
      accruedMicros: 1_000n,
      billable: false,
    });
  });

  it('stands still while the machine is silent, and leaves that time out when it is back', () => {
    expect(readCost({ ...facts, leases: [{ ...open, silentAt: at(10) }] }, at(30))).toMatchObject({
      accruedMicros: 1_000n,
      billable: false,
    });
    expect(readCost({ ...facts, leases: [{ ...open, silentMs: 20_000 }] }, at(30))).toMatchObject({
      accruedMicros: 1_000n,
      billable: true,
    });
  });

  it('is what was settled once every try has ended', () => {
    const leases = [
      { ...open, exitedAt: at(5), endedAt: at(6), costMicros: 0n },
      { ...open, exitedAt: at(50), endedAt: at(51), costMicros: 4_999n },
    ];
    expect(readCost({ ...facts, leases }, at(900))).toMatchObject({ accruedMicros: 4_999n, billable: false });
  });

  it('never counts past the time limit, although the stop comes a moment later', () => {
    expect(readCost({ ...facts, timeLimitSeconds: 20 }, at(30))).toMatchObject({
      accruedMicros: 2_000n,
      billable: false,
    });
  });

  it('is not negative when the start lies ahead of the clock', () => {
    expect(readCost(facts, at(-5)).accruedMicros).toBe(0n);
  });
});
