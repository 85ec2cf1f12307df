import { describe, expect, test } from 'vitest';
import { Cluster, type NodeSpec } from './cluster.ts';
import { Demand } from './demand.ts';
import { Protection } from './protection.ts';
import type { TaskShape } from './task-shape.ts';

const single: TaskShape = { cpuMilli: 4_000, memoryMib: 4_096, gpuCount: 1, gpuMilli: 1_000, kinds: [] };
const eight: TaskShape = { ...single, cpuMilli: 64_000, gpuCount: 8 };

function nodeOf(kind: string, gpus: number): NodeSpec {
  return {
    cpuMilli: 96_000,
    memoryMib: 393_216,
    shares: true,
    gpus: Array.from({ length: gpus }, () => ({ kind, freeMilli: 1_000 })),
  };
}

/** What a task with one GPU costs on an idle node of a cluster, by what else is expected. */
function costOnIdle(nodes: NodeSpec[], expected: TaskShape[]): number {
  const cluster = new Cluster();
  for (const node of nodes) cluster.add(node);
  const protection = new Protection(cluster, Demand.of(expected).classes());
  protection.reprice(single);
  return protection.costMilli(single, cluster.stateOf(0), 1, []);
}

describe('what is hard to place', () => {
  const nodes = (count: number) => Array.from({ length: count }, () => nodeOf('A100', 8));
  const many = (task: TaskShape, count: number) => Array.from({ length: count }, () => task);

  test('a whole node costs nothing while there are plenty, and nearly all of it when each will be needed', () => {
    expect(costOnIdle(nodes(100), [...many(single, 990), ...many(eight, 1)])).toBe(0);
    const scarce = costOnIdle(nodes(100), [...many(single, 10), ...many(eight, 100)]);
    expect(scarce).toBeGreaterThan(3_000);
    expect(scarce).toBeLessThanOrEqual(8_000);
  });

  test('a kind of GPU that many insist on is dear, the others are not', () => {
    const insisting = { ...single, kinds: ['H100'] };
    const mixed = [nodeOf('H100', 8), ...nodes(20)];
    const plain = [...nodes(20), nodeOf('H100', 8)];
    const expected = [...many(single, 50), ...many(insisting, 50)];
    expect(costOnIdle(mixed, expected)).toBeGreaterThan(500);
    expect(costOnIdle(plain, expected)).toBe(0);
    expect(costOnIdle(mixed, many(single, 100))).toBe(0);
  });

  test('the supply follows every move, as if it were counted anew', () => {
    const cluster = new Cluster();
    for (const node of nodes(3)) cluster.add(node);
    cluster.add(nodeOf('H100', 4));
    const classes = Demand.of([single, eight, { ...single, kinds: ['H100'] }]).classes();
    const protection = new Protection(cluster, classes);
    cluster.listen((from, to) => protection.moved(from, to));
    cluster.take(0, single, [3]);
    cluster.take(3, { ...single, gpuMilli: 300 }, [0]);
    cluster.take(3, single, [1]);
    cluster.remove(1);
    cluster.release(0, single, [3]);
    const anew = new Protection(cluster, classes);
    for (const each of [protection, anew]) each.reprice(single);
    for (const index of [0, 2, 3]) {
      const state = cluster.stateOf(index);
      expect(protection.costMilli(single, state, 1, [])).toBeCloseTo(anew.costMilli(single, state, 1, []), 9);
    }
  });
});
