import { invariant } from '@computefabric/runtime/invariant';
import type { TaskSpec as ContainerSpec } from '../../container/container-driver.ts';
import { isContainerError } from '../../container/container-error.ts';
import type { TaskContext } from '../task-context.ts';
import { TaskFailure } from '../task-failure.ts';

const bytesPerMib = 1_048_576;

/** Makes the container, or finds the one that an earlier process made before it could write that down. */
export async function createContainer(task: TaskContext): Promise<void> {
  const { journal, driver } = task;
  try {
    const containerId = await driver.createTask(containerSpec(task));
    await journal.update({ containerId });
    task.unstarted.containerId = containerId;
  } catch (thrown) {
    if (isContainerError(thrown, 'task-exists')) {
      await journal.update({ containerId: await takeOver(task) });
      return;
    }
    if (
      isContainerError(thrown, 'image-refused', 'command-missing', 'command-not-found', 'variable-reserved')
    ) {
      throw new TaskFailure('start-failed', thrown.message, thrown);
    }
    throw thrown;
  }
}

function containerSpec({ journal, isSimulatedGpu }: TaskContext): ContainerSpec {
  const { spec, image } = journal.record;
  invariant(image, 'a container is made from an image');
  const memoryBytes = spec.memory_mib * bytesPerMib;
  return {
    leaseId: spec.lease_id,
    jobId: spec.job_id,
    fence: spec.fence,
    image: image.id,
    imageIsPrivate: spec.registry_login,
    command: spec.command,
    env: spec.env,
    variables: {
      ...spec.variables,
      COMPUTEFABRIC_ATTEMPT: String(spec.attempt),
      COMPUTEFABRIC_RESUMED: spec.resumed ? '1' : '0',
    },
    stateDirectory: spec.checkpoint?.path ?? null,
    cpus: spec.cpus,
    memoryBytes,
    pidsLimit: pidsLimit(spec.cpus),
    // Counts against the memory as it fills, so half of it takes nothing away; data loaders share through it.
    shmBytes: Math.floor(memoryBytes / 2),
    gpuUuids: spec.gpu_uuids.filter((uuid) => !isSimulatedGpu(uuid)),
    diskBytes: spec.disk_mib * bytesPerMib,
    network: spec.network,
  };
}

/** Enough for the thread pools that numeric libraries make per core, far too few for a fork bomb to hurt. */
function pidsLimit(cpus: number): number {
  return Math.max(512, 128 * Math.ceil(cpus));
}

/**
 * The container that an earlier process made. One that never started may be half made: its settings unchecked,
 * its directories missing. It is made anew.
 */
async function takeOver(task: TaskContext): Promise<string> {
  const { driver, journal } = task;
  const leaseId = journal.record.spec.lease_id;
  const owned = await driver.listOwned();
  const container = owned.find((each) => each.leaseId === leaseId);
  invariant(container, `the engine says that ${leaseId} has a container and does not list it`);
  if (container.state !== 'created') return container.id;
  await driver.removeLease(leaseId);
  return await driver.createTask(containerSpec(task));
}
