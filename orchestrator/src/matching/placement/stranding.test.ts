import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TaskClass } from './demand.ts';
import { Stranding } from './stranding.ts';

const classes: TaskClass[] = [
  { cpuMilli: 4_000, memoryMib: 8_192, gpuCount: 1, gpuMilli: 1_000, kinds: [], popularity: 0.5 },
  { cpuMilli: 16_000, memoryMib: 8_192, gpuCount: 1, gpuMilli: 1_000, kinds: [], popularity: 0.25 },
  { cpuMilli: 32_000, memoryMib: 65_536, gpuCount: 4, gpuMilli: 1_000, kinds: [], popularity: 0.05 },
  { cpuMilli: 8_000, memoryMib: 8_192, gpuCount: 0, gpuMilli: 0, kinds: [], popularity: 0.2 },
];

describe('GPUs that will lack CPU', () => {
  const stranding = new Stranding(classes, 'cpuMilli');

  test('without CPU all is stranded, with plenty next to nothing', () => {
    expect(stranding.milli(0, 8_000)).toBe(8_000);
    expect(stranding.milli(200_000, 8_000)).toBeLessThan(100);
    expect(stranding.milli(0, 0)).toBe(0);
  });

  test('CPU for half of the tasks strands about half of the GPUs, not all and not none', () => {
    // A GPU needs 4 to 16 cores, 9 on average.
    const stranded = stranding.milli(36_000, 8_000);
    expect(stranded).toBeGreaterThan(1_500);
    expect(stranded).toBeLessThan(5_000);
  });

  test('more CPU never strands more, and the estimate has no jumps', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 128_000 }), fc.integer({ min: 1, max: 16_000 }), (cpu, gpu) => {
        const here = stranding.milli(cpu, gpu);
        expect(stranding.milli(cpu + 2_000, gpu)).toBeLessThanOrEqual(here + 0.06 * gpu);
        expect(here).toBeGreaterThanOrEqual(0);
        expect(here).toBeLessThanOrEqual(gpu + 1e-6);
        expect(Math.abs(stranding.milli(cpu + 1, gpu) - here)).toBeLessThan(5);
      }),
    );
  });

  test('equal demand gives equal estimates', () => {
    const again = new Stranding(classes, 'cpuMilli');
    expect(again.milli(37_123, 5_432)).toBe(stranding.milli(37_123, 5_432));
  });

  test('with nothing known of the tasks nothing is stranded', () => {
    expect(new Stranding([], 'cpuMilli').milli(0, 8_000)).toBe(0);
  });

  test('memory is a companion like CPU', () => {
    const memory = new Stranding(classes, 'memoryMib');
    expect(memory.milli(16_384, 8_000)).toBeGreaterThan(4_000);
    expect(memory.milli(1_048_576, 8_000)).toBeLessThan(100);
  });
});
