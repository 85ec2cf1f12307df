import { expect, test } from 'vitest';
import type { TaskSpec } from './container-driver.ts';
import { checkTaskSpec } from './task-spec.ts';
import { testTaskSpec } from './testing/task-spec.ts';

test('an ordinary task passes', () => {
  expect(() => checkTaskSpec(testTaskSpec())).not.toThrow();
  expect(() =>
    checkTaskSpec(testTaskSpec({ command: null, gpuUuids: ['GPU-1a2b', 'MIG-3c'] })),
  ).not.toThrow();
});

test.each([
  ['leaseId', { leaseId: '../other' }],
  ['leaseId', { leaseId: '' }],
  ['jobId', { jobId: 'a b' }],
  ['fence', { fence: 1.5 }],
  ['image', { image: '' }],
  ['cpus', { cpus: Number.NaN }],
  ['cpus', { cpus: 0 }],
  ['memoryBytes', { memoryBytes: 1 }],
  ['memoryBytes', { memoryBytes: Number.POSITIVE_INFINITY }],
  ['pidsLimit', { pidsLimit: -1 }],
  ['shmBytes', { shmBytes: 2 ** 40 }],
  ['gpuUuids', { gpuUuids: ['all'] }],
  ['gpuUuids', { gpuUuids: ['0'] }],
  ['gpuUuids', { gpuUuids: ['GPU-1,GPU-2'] }],
  ['gpuUuids', { gpuUuids: ['GPU-1', 'GPU-1'] }],
  ['command', { command: '' }],
  ['command', { command: [] }],
  ['command', { command: ['a', 'b\0c'] }],
  ['command', { command: 'x'.repeat(200_000) }],
  ['env', { env: { 'A=B': 'c' } }],
  ['env', { env: { '': 'c' } }],
  ['env', { env: { A: 'b\0c' } }],
  ['env', { env: { A: 'x'.repeat(200_000) } }],
] satisfies [string, Partial<TaskSpec>][])('a bad %s is refused by its name', (field, change) => {
  expect(() => checkTaskSpec(testTaskSpec(change))).toThrow(
    expect.objectContaining({ code: 'task-spec-invalid', message: expect.stringContaining(field) }),
  );
});
