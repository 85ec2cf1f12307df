import { describe, expect, test } from 'vitest';
import { Demand } from './demand.ts';
import type { TaskShape } from './task-shape.ts';

function task(overrides: Partial<TaskShape> = {}): TaskShape {
  return { cpuMilli: 4_000, memoryMib: 8_192, gpuCount: 1, gpuMilli: 1_000, kinds: [], ...overrides };
}

describe('the expected tasks', () => {
  test('classes are ranked by popularity, which adds up to 1, and memory is averaged', () => {
    const demand = Demand.of([
      task({ memoryMib: 1_000 }),
      task({ memoryMib: 3_000 }),
      task({ gpuMilli: 500 }),
      task({ memoryMib: 2_000 }),
    ]);
    const classes = demand.classes();
    expect(classes.map(({ gpuMilli, popularity }) => [gpuMilli, popularity])).toEqual([
      [1_000, 0.75],
      [500, 0.25],
    ]);
    expect(classes[0]?.memoryMib).toBe(2_000);
  });

  test('the order in which acceptable kinds are named makes no other class', () => {
    const demand = Demand.of([task({ kinds: ['A', 'B'] }), task({ kinds: ['B', 'A'] })]);
    expect(demand.classes()).toHaveLength(1);
  });

  test('what is asked for now outweighs what was asked for long ago', () => {
    const demand = new Demand();
    for (let i = 0; i < 30_000; i += 1) demand.observe(task());
    for (let i = 0; i < 30_000; i += 1) demand.observe(task({ gpuMilli: 500 }));
    const [first, second] = demand.classes();
    expect(first?.gpuMilli).toBe(500);
    expect(first?.popularity).toBeGreaterThan(0.7);
    expect(second?.popularity).toBeGreaterThan(0.2);
  });

  test('nothing changes when the growing weights are scaled back', () => {
    const demand = new Demand();
    // A weight doubles every 20,000 arrivals and is scaled back at 2^20: once in here.
    for (let i = 0; i < 410_000; i += 1) demand.observe(i % 2 ? task() : task({ gpuMilli: 500 }));
    for (const { popularity, memoryMib } of demand.classes()) {
      expect(popularity).toBeCloseTo(0.5, 3);
      expect(memoryMib).toBe(8_192);
    }
  });

  test('however many different tasks come, the list of classes has an end', () => {
    const demand = new Demand();
    for (let i = 0; i < 100_000; i += 1) demand.observe(task({ cpuMilli: i }));
    for (let i = 0; i < 300; i += 1) demand.observe(task({ cpuMilli: 5 }));
    expect(demand.classes().length).toBeLessThanOrEqual(256);
    expect(demand.classes()[0]?.cpuMilli).toBe(5);
  });
});
