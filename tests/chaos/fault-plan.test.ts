import { expect, test } from 'vitest';
import { type Fault, planFaults } from './fault-plan.ts';

const options = {
  seed: 7,
  kills: 200,
  orchestrators: 2,
  providers: 4,
  othersPerKill: 0.6,
  leaseTtlMs: 6_000,
  meanGapMs: 1_000,
  canFillDisk: true,
};
const countOf = (plan: Fault[], kind: Fault['kind']) => plan.filter((fault) => fault.kind === kind).length;

test('the same seed plans the same storm, another one another', () => {
  expect(planFaults(options)).toEqual(planFaults(options));
  expect(planFaults({ ...options, seed: 8 })).not.toEqual(planFaults(options));
});

test('of 200 kills at least 25 each hit orchestrators, machines and the database', () => {
  const plan = planFaults(options);
  const kills = (['kill-orchestrator', 'kill-provider', 'kill-database'] as const).map((kind) =>
    countOf(plan, kind),
  );
  expect(kills.reduce((sum, times) => sum + times, 0)).toBe(200);
  for (const times of kills) expect(times).toBeGreaterThanOrEqual(25);
});

test('every kind of fault comes up, on every victim, and some outlast a lease', () => {
  const plan = planFaults(options);
  for (const kind of [
    'freeze-orchestrator',
    'freeze-provider',
    'freeze-database',
    'cut-provider',
    'cut-database',
    'fill-disk',
  ] as const)
    expect(countOf(plan, kind), kind).toBeGreaterThan(0);
  const machines = plan.flatMap((fault) => (fault.kind === 'kill-provider' ? [fault.which] : []));
  expect(new Set(machines).size).toBe(4);
  expect(plan.some((fault) => fault.kind === 'freeze-provider' && fault.forMs > options.leaseTtlMs)).toBe(
    true,
  );
});

test('without a disk of its own no disk is filled', () => {
  expect(countOf(planFaults({ ...options, canFillDisk: false }), 'fill-disk')).toBe(0);
});

test('faults are numbered in their order and have gaps around the mean', () => {
  const plan = planFaults(options);
  expect(plan.map(({ number }) => number)).toEqual(plan.map((_fault, index) => index + 1));
  const mean = plan.reduce((sum, { gapMs }) => sum + gapMs, 0) / plan.length;
  expect(mean).toBeGreaterThan(850);
  expect(mean).toBeLessThan(1_150);
});
