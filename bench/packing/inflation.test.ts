import { describe, expect, test } from 'vitest';
import type { NodeSpec } from '../../orchestrator/src/matching/placement/cluster.ts';
import { type TaskShape, totalGpuMilli } from '../../orchestrator/src/matching/placement/task-shape.ts';
import { replayInflation } from './inflation.ts';
import { parseSeeds } from './packing-bench.ts';
import { ours, oursOnline } from './placer-policy.ts';
import { publishedPolicies } from './published-policies.ts';
import { variantsOf } from './variants.ts';

const nodes: NodeSpec[] = Array.from({ length: 12 }, (_, index) => ({
  cpuMilli: index % 3 === 0 ? 24_000 : 48_000,
  memoryMib: 131_072,
  shares: true,
  gpus: Array.from({ length: 4 }, () => ({ kind: index % 2 ? 'T4' : 'A100', freeMilli: 1_000 })),
}));

const workload: TaskShape[] = Array.from({ length: 40 }, (_, index) => ({
  cpuMilli: [4_000, 10_000, 16_000][index % 3] ?? 0,
  memoryMib: 8_192,
  gpuCount: [1, 1, 1, 0, 2][index % 5] ?? 0,
  gpuMilli: [1_000, 470, 810, 0, 1_000][index % 5] ?? 0,
  kinds: index % 10 === 0 ? ['T4'] : [],
}));

const policies = { ...publishedPolicies, ours, 'ours-online': oursOnline };

describe('the replay', () => {
  test.each(Object.entries(policies))(
    '%s: a seed gives the same run every time, another seed another',
    (_, policy) => {
      const run = (seed: number) => {
        const { microsPerDecision, ...figures } = replayInflation(nodes, workload, seed, policy);
        return { ...figures, decisions: microsPerDecision.length };
      };
      expect(run(42)).toEqual(run(42));
      expect(run(43)).not.toEqual(run(42));
    },
  );

  test('tasks arrive until they have asked for 130 % of the GPUs, first each of the trace once', () => {
    const seen: TaskShape[] = [];
    replayInflation(nodes, workload, 42, () => ({
      place(task) {
        seen.push(task);
        return false;
      },
    }));
    expect(new Set(seen.slice(0, workload.length))).toEqual(new Set(workload));
    const asked = seen.reduce((sum, task) => sum + totalGpuMilli(task), 0);
    expect(asked).toBeLessThanOrEqual(1.3 * 48_000);
    expect(asked).toBeGreaterThan(1.3 * 48_000 - 2_001);
  });

  test('the first refusal and what was refused are counted; nothing placed is nothing allocated', () => {
    const refuseAll = replayInflation(nodes, workload, 42, () => ({ place: () => false }));
    expect(refuseAll.allocatedPercentAt[100]).toBe(0);
    expect(refuseAll.firstRefusalPercent).toBeLessThan(10);
    expect(refuseAll.refusedPercentAt100).toBeGreaterThan(95);
    const acceptAll = replayInflation(nodes, workload, 42, () => ({ place: () => true }));
    expect(acceptAll.allocatedPercentAt[100]).toBeCloseTo(100, 0);
    expect(acceptAll.firstRefusalPercent).toBe(Number.POSITIVE_INFINITY);
  });

  test('no policy allocates more than there is', () => {
    for (const policy of Object.values(policies)) {
      const { allocatedPercentAt } = replayInflation(nodes, workload, 42, policy);
      for (const percent of Object.values(allocatedPercentAt)) expect(percent).toBeLessThanOrEqual(100);
      expect(allocatedPercentAt[100]).toBeGreaterThan(50);
    }
  });
});

describe('variants of a workload', () => {
  const variants = new Map(variantsOf(workload, nodes).map(({ name, tasks }) => [name, tasks]));
  const asked = (tasks: readonly TaskShape[]) => tasks.reduce((sum, task) => sum + totalGpuMilli(task), 0);

  test('sharing-100 asks for shares only, multi-50 for half in tasks with several GPUs', () => {
    const sharing = variants.get('sharing-100') ?? [];
    expect(sharing.filter((task) => task.gpuCount > 0).every((task) => task.gpuMilli < 1_000)).toBe(true);
    const multi = variants.get('multi-50') ?? [];
    const several = multi.filter((task) => task.gpuCount > 1);
    expect(asked(several) / asked(multi)).toBeGreaterThan(0.4);
    expect(asked(several) / asked(multi)).toBeLessThan(0.6);
  });

  test('a variant by kinds asks for the same, and only for kinds that could hold the task', () => {
    const kinds = variants.get('rare-kinds-33') ?? [];
    expect(asked(kinds)).toBe(asked(workload));
    expect(kinds.filter((task) => task.kinds.length > 0).length).toBeGreaterThan(4);
  });
});

describe('seeds', () => {
  test('are a range or a list', () => {
    expect(parseSeeds('42..45')).toEqual([42, 43, 44, 45]);
    expect(parseSeeds('7,9')).toEqual([7, 9]);
    for (const bad of ['', '5..3', 'a', '1..', '1..99999']) expect(() => parseSeeds(bad)).toThrow('--seeds');
  });
});
