import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Cluster, fitsState, type NodeSpec } from './cluster.ts';
import type { TaskShape } from './task-shape.ts';

const node: NodeSpec = {
  cpuMilli: 16_000,
  memoryMib: 65_536,
  shares: true,
  gpus: [
    { kind: 'A100', freeMilli: 1_000 },
    { kind: 'A100', freeMilli: 400 },
    { kind: 'T4', freeMilli: 1_000 },
  ],
};

const share: TaskShape = { cpuMilli: 4_000, memoryMib: 8_192, gpuCount: 1, gpuMilli: 300, kinds: [] };

describe('the cluster', () => {
  test('nodes with the same free capacity share one state, whatever the order of their GPUs', () => {
    const cluster = new Cluster();
    const one = cluster.add(node);
    const two = cluster.add({ ...node, gpus: [...node.gpus].reverse() });
    expect(cluster.stateOf(one)).toBe(cluster.stateOf(two));
    expect(cluster.states).toHaveLength(1);
    cluster.take(two, share, [1]);
    expect(cluster.states).toHaveLength(2);
    cluster.release(two, share, [1]);
    expect(cluster.stateOf(one)).toBe(cluster.stateOf(two));
    expect(cluster.states).toHaveLength(1);
  });

  test('a state that no node is in any more is forgotten', () => {
    const cluster = new Cluster();
    const index = cluster.add(node);
    for (let i = 0; i < 50; i += 1) {
      cluster.take(index, share, [0]);
      cluster.release(index, share, [0]);
    }
    cluster.remove(index);
    expect(cluster.states).toEqual([]);
    expect(cluster.freeMilliByKind).toEqual([0, 0]);
  });

  test('what does not fit is refused and changes nothing', () => {
    const cluster = new Cluster();
    const index = cluster.add(node);
    const before = cluster.read(index);
    expect(() => cluster.take(index, { ...share, gpuMilli: 500 }, [1])).toThrow('GPU 1');
    expect(() => cluster.take(index, { ...share, cpuMilli: 16_001 }, [0])).toThrow('does not fit');
    expect(() => cluster.take(index, { ...share, gpuCount: 2 }, [0])).toThrow('takes 2 GPUs');
    expect(() => cluster.take(index, { ...share, gpuCount: 2 }, [0, 0])).toThrow('GPU 0');
    expect(() => cluster.release(index, share, [0])).toThrow('GPU 0');
    expect(cluster.read(index)).toMatchObject(before);
  });

  test('the index of a removed node is given out again', () => {
    const cluster = new Cluster();
    const first = cluster.add(node);
    cluster.remove(first);
    expect(() => cluster.stateOf(first)).toThrow('no node');
    expect(cluster.add(node)).toBe(first);
  });

  test('a share fits only where the owner allows sharing', () => {
    const cluster = new Cluster();
    const state = cluster.stateOf(cluster.add({ ...node, shares: false }));
    expect(fitsState(state, share, null)).toBe(false);
    expect(fitsState(state, { ...share, gpuMilli: 1_000 }, null)).toBe(true);
  });

  test('taking and releasing in any order restores every node exactly, and the sums with them', () => {
    const someTask = fc.record({
      cpuMilli: fc.integer({ min: 0, max: 9_000 }),
      memoryMib: fc.integer({ min: 0, max: 40_000 }),
      gpuCount: fc.integer({ min: 0, max: 2 }),
      gpuMilli: fc.integer({ min: 1, max: 1_000 }),
    });
    const steps = fc.array(
      fc.record({ task: someTask, target: fc.nat(2), end: fc.nat(100), isEnd: fc.boolean() }),
      {
        maxLength: 40,
      },
    );
    fc.assert(
      fc.property(steps, (moves) => {
        const cluster = new Cluster();
        const specs = [node, { ...node, cpuMilli: 8_000 }, { ...node, gpus: [] }];
        const indices = specs.map((spec) => cluster.add(spec));
        const freeBefore = [...cluster.freeMilliByKind];
        const running: { index: number; task: TaskShape; gpus: number[] }[] = [];
        for (const { task, target, end, isEnd } of moves) {
          if (isEnd) {
            const [ended] = running.splice(end % Math.max(1, running.length), 1);
            if (ended) cluster.release(ended.index, ended.task, ended.gpus);
            continue;
          }
          const index = indices[target] ?? 0;
          const shape = { ...task, kinds: [] };
          if (!fitsState(cluster.stateOf(index), shape, null)) continue;
          const milli = task.gpuCount === 1 ? task.gpuMilli : 1_000;
          const gpus = cluster
            .read(index)
            .gpus.flatMap(({ freeMilli }, gpu) => (freeMilli >= milli ? [gpu] : []))
            .slice(0, task.gpuCount);
          cluster.take(index, shape, gpus);
          running.push({ index, task: shape, gpus });
        }
        for (const { index, task, gpus } of running) cluster.release(index, task, gpus);
        expect(indices.map((index) => cluster.read(index))).toMatchObject(specs);
        expect(cluster.freeMilliByKind).toEqual(freeBefore);
        expect(cluster.states.flatMap(({ nodes }) => nodes).sort((a, b) => a - b)).toEqual(indices);
        for (const [slot, state] of cluster.states.entries()) expect(state.slot).toBe(slot);
      }),
    );
  });
});
