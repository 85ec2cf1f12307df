import type { DockerEngine } from './docker-engine.ts';
import { isContainerError } from './container-error.ts';

/**
 * What a task gets of the processor beside the machine's other work: as usual, only what nobody else wants
 * (`yield`), or that and a part of its cores (`cool`).
 */
export type TaskPriority = 'none' | 'yield' | 'cool';

const UPDATE_SECONDS = 10;
/** The engine's own weight of a container, and the least there is. */
const WEIGHT = { usual: 1_024, least: 2 };
const COOL_PART = 0.25;
const LEAST_CPUS = 0.05;

/** Changes the weight of a running task's processes; one that has ended, or is gone, needs none. */
export async function setPriority(
  engine: DockerEngine,
  containerId: string,
  priority: TaskPriority,
  cpus: number,
): Promise<void> {
  const part = priority === 'cool' ? Math.max(LEAST_CPUS, cpus * COOL_PART) : cpus;
  const change = {
    CpuShares: priority === 'none' ? WEIGHT.usual : WEIGHT.least,
    NanoCpus: Math.round(part * 1e9),
  };
  try {
    await engine.call('changing the priority of the task', UPDATE_SECONDS, (client, signal) =>
      client.getContainer(containerId).update({ ...change, abortSignal: signal }),
    );
  } catch (error) {
    if (!isContainerError(error, 'engine-refused')) throw error;
    if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
  }
}
