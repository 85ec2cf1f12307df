import type { TaskSpec } from '../container-driver.ts';

/** An ordinary task. */
export function testTaskSpec(change: Partial<TaskSpec> = {}): TaskSpec {
  return {
    leaseId: 'lease_1',
    jobId: 'job_1',
    fence: 1,
    image: 'example/image:latest',
    command: 'true',
    env: {},
    variables: {},
    stateDirectory: null,
    cpus: 1,
    memoryBytes: 64 * 2 ** 20,
    pidsLimit: 128,
    shmBytes: 2 ** 20,
    gpuUuids: [],
    diskBytes: 0,
    network: { mode: 'none', allow: [] },
    ...change,
  };
}
