import { requirements } from '@computefabric/protocol/user-api/requirements';
import { expect, test } from 'vitest';
import { gpusText, requirementsText } from './requirements-text.ts';

test('what is asked for is told, and nothing that is as usual', () => {
  expect(requirementsText(requirements.parse({}))).toBe('CPU · 1 core · 1 GiB memory');
  expect(
    requirementsText(
      requirements.parse({
        gpus: 2,
        gpu_models: ['RTX 4090', 'A100'],
        min_vram_mib: 22_889,
        max_vram_mib: 81_920,
        min_compute_capability: '8.0',
        min_driver: '535.104',
        min_cuda: '12.2',
        cpus: 4,
        memory_mib: 7_630,
        disk_mib: 20_480,
        regions: ['eu-west', 'lab'],
        min_reliability: 0.95,
        min_tier: 'verified',
      }),
    ),
  ).toBe(
    '2 × RTX 4090 or A100 ≥ 24 GB ≤ 80 GB · 4 cores · 8 GB memory · 20 GiB disk · compute capability ≥ 8.0 · ' +
      'driver ≥ 535.104 · CUDA ≥ 12.2 · in eu-west or lab · reliability ≥ 95% · verified',
  );
  expect(gpusText(requirements.parse({ gpus: 1, gpu_milli: 250 }))).toBe('0.25 × GPU');
});
