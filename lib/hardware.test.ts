import { describe, expect, it } from 'vitest';
import { describeGpus, describeNeeds } from './hardware.ts';

describe('hardware in words', () => {
  it('names cards briefly and counts equal ones', () => {
    expect(describeGpus(['NVIDIA GeForce RTX 4090', 'NVIDIA GeForce RTX 4090'])).toBe('2 × RTX 4090');
    expect(describeGpus(['NVIDIA A100-SXM4-80GB', 'Tesla T4'])).toBe('1 × A100-SXM4-80GB, 1 × Tesla T4');
    expect(describeGpus([])).toBe('CPU only');
  });

  it('names what a job asks for', () => {
    const cpu = { gpus: 0, gpuModels: [], minVramMib: 0, cpuMilli: 500 };
    expect(describeNeeds(cpu)).toBe('0.5 cores');
    expect(describeNeeds({ ...cpu, cpuMilli: 1_000 })).toBe('1 core');
    expect(describeNeeds({ ...cpu, gpus: 2, minVramMib: 22_889 })).toBe('2 × GPU ≥ 24 GB');
    expect(describeNeeds({ ...cpu, gpus: 1, gpuModels: ['A100', 'NVIDIA H100'] })).toBe('1 × A100 or H100');
  });
});
