import { describe, expect, test } from 'vitest';
import type { TaskSpec } from './container-driver.ts';
import { findReservedVariable, taskEnvironment } from './task-environment.ts';
import { testTaskSpec } from './testing/task-spec.ts';

function environment(change: Partial<TaskSpec>, imageEnv: string[] = []): Record<string, string> {
  const lines = taskEnvironment(testTaskSpec(change), imageEnv);
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

test('a task gets the job’s variables and ours', () => {
  expect(environment({ env: { A: 'x=y', EMPTY: '' } })).toEqual({
    A: 'x=y',
    EMPTY: '',
    COMPUTEFABRIC_JOB_ID: 'job_1',
    COMPUTEFABRIC_LEASE_ID: 'lease_1',
    COMPUTEFABRIC_OUTPUTS: '/outputs',
    NVIDIA_VISIBLE_DEVICES: 'void',
  });
});

test('a task with GPUs sees those and no others', () => {
  expect(environment({ gpuUuids: ['GPU-a', 'GPU-b'] }, ['NVIDIA_VISIBLE_DEVICES=all'])).toMatchObject({
    NVIDIA_VISIBLE_DEVICES: 'GPU-a,GPU-b',
    NVIDIA_DRIVER_CAPABILITIES: 'compute,utility',
  });
});

describe('variables of the image', () => {
  test.each([
    ['LD_PRELOAD=/evil.so', 'LD_PRELOAD', ''],
    ['LD_AUDIT=/evil.so', 'LD_AUDIT', ''],
    ['NVIDIA_MIG_CONFIG_DEVICES=all', 'NVIDIA_MIG_CONFIG_DEVICES', ''],
    ['NVIDIA_DISABLE_REQUIRE=1', 'NVIDIA_DISABLE_REQUIRE', ''],
    ['NVIDIA_IMEX_CHANNELS=0', 'NVIDIA_IMEX_CHANNELS', ''],
    ['LD_LIBRARY_PATH=.:/usr/lib::lib', 'LD_LIBRARY_PATH', '/usr/lib'],
  ])('%s is overwritten', (line, name, value) => {
    expect(environment({}, [line])[name]).toBe(value);
  });

  test.each([
    'PATH=/bin',
    'LD_LIBRARY_PATH=/usr/local/cuda/lib64:/usr/lib',
    'NVIDIA_REQUIRE_CUDA=cuda>=12.0',
    'NVIDIA_PYTORCH_VERSION=24.05',
    'NVIDIA_PRODUCT_NAME=PyTorch',
  ])('%s is left as it is', (line) => {
    expect(environment({}, [line])).toEqual(environment({}));
  });
});

test('a job may not set what belongs to the agent', () => {
  for (const name of ['COMPUTEFABRIC_JOB_ID', 'NVIDIA_VISIBLE_DEVICES', 'LD_PRELOAD', 'LD_AUDIT']) {
    expect(findReservedVariable({ FINE: '1', [name]: 'x' })).toBe(name);
    expect(() => environment({ env: { [name]: 'x' } })).toThrow(
      expect.objectContaining({ code: 'variable-reserved' }),
    );
  }
  expect(findReservedVariable({ LD_LIBRARY_PATH: '/lib', MY_NVIDIA_: '' })).toBeNull();
});
