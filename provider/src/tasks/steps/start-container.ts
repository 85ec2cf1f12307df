import { invariant } from '@computefabric/runtime/invariant';
import { isContainerError } from '../../container/container-error.ts';
import type { TaskContext } from '../task-context.ts';
import { TaskFailure } from '../task-failure.ts';

/** Starts the program, once: a container that has run already is never started again. */
export async function startContainer({
  journal,
  driver,
  output,
  bootClock,
  guarded,
}: TaskContext): Promise<void> {
  const { containerId } = journal.record;
  invariant(containerId, 'a container is started after it was made');
  const status = await driver.inspectTask(containerId);
  if (!status) throw new TaskFailure('provider-error', 'The container was gone before it could start.');
  if (status.state === 'created') {
    await guarded;
    await output.attach(containerId);
    try {
      await driver.startTask(containerId);
    } catch (thrown) {
      if (isContainerError(thrown, 'command-not-found', 'command-missing', 'start-failed', 'image-refused')) {
        throw new TaskFailure('start-failed', thrown.message, thrown);
      }
      throw thrown;
    }
  }
  await journal.update({ startedAt: bootClock.now() });
}
