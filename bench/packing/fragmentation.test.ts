import { describe, expect, test } from 'vitest';
import type { TaskShape } from '../../orchestrator/src/matching/placement/task-shape.ts';
import { Fragmentation, freeAfter } from './fragmentation.ts';

function task(gpuCount: number, gpuMilli: number, cpuMilli: number, kinds: string[] = []): TaskShape {
  return { cpuMilli, memoryMib: 1, gpuCount, gpuMilli, kinds };
}

/** Two thirds ask for half a GPU with 4 cores, one third for two GPUs with 8. */
const workload = [task(1, 500, 4_000), task(1, 500, 4_000), task(2, 1_000, 8_000)];

describe('the fragmentation of a node, computed by hand', () => {
  const fragmentation = new Fragmentation(workload, 1);

  test('an idle node that every class fits on has none', () => {
    expect(fragmentation.milli({ cpuMilli: 16_000, kind: 'T4', free: [1_000, 1_000] })).toBe(0);
  });

  test('a device with too little for a class is lost for it; so is the node when it has too few devices', () => {
    // Halves: the 400 cannot be used. Pairs: all 1400 cannot. 2/3 * 400 + 1/3 * 1400.
    const node = { cpuMilli: 16_000, kind: 'T4', free: [400, 1_000] };
    expect(fragmentation.milli(node)).toBeCloseTo((2 / 3) * 400 + (1 / 3) * 1_400);
  });

  test('without the CPU for a class, all of the node is lost for it', () => {
    const node = { cpuMilli: 5_000, kind: 'T4', free: [1_000, 1_000] };
    expect(fragmentation.milli(node)).toBeCloseTo((1 / 3) * 2_000);
    expect(fragmentation.milli({ ...node, cpuMilli: 3_000 })).toBeCloseTo(2_000);
  });

  test('a full node has none, whatever else it lacks', () => {
    expect(fragmentation.milli({ cpuMilli: 0, kind: 'T4', free: [0, 0] })).toBe(0);
  });

  test('a class that insists on another model cannot use the node, a class without GPUs no GPU', () => {
    const picky = new Fragmentation(
      [task(1, 500, 1, ['A100']), task(1, 500, 1, ['T4', 'A100']), task(0, 0, 1)],
      1,
    );
    const node = { cpuMilli: 16_000, kind: 'T4', free: [1_000] };
    expect(picky.milli(node)).toBeCloseTo((2 / 3) * 1_000);
    expect(picky.milli({ ...node, kind: 'A100' })).toBeCloseTo((1 / 3) * 1_000);
  });

  test('the rarest classes are left out of the target workload', () => {
    const mostly = new Fragmentation(
      [...Array.from({ length: 19 }, () => task(1, 500, 1)), task(1, 1_000, 1)],
      0.95,
    );
    expect(mostly.milli({ cpuMilli: 1, kind: 'T4', free: [500] })).toBe(0);
  });

  test('what is free after a share, after whole GPUs, after a task without a GPU', () => {
    expect(freeAfter([1_000, 600], task(1, 500, 1), 1)).toEqual([1_000, 100]);
    expect(freeAfter([600, 1_000, 1_000, 1_000], task(2, 1_000, 1), -1)).toEqual([600, 0, 0, 1_000]);
    expect(freeAfter([600], task(0, 0, 1), -1)).toEqual([600]);
  });
});
