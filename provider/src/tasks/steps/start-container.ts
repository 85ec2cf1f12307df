import { invariant } from '@computefabric/runtime/invariant';
import { isContainerError } from '../../container/container-error.ts';
import type { TaskContext } from '../task-context.ts';
import { TaskFailure } from '../task-failure.ts';

/** Starts the program, once: a container that has run already is never started again. */
export async function startContainer(task: TaskContext): Promise<void> {
  const { journal, driver, output, bootClock, guarded } = task;
  const { containerId } = journal.record;
  invariant(containerId, 'a container is started after it was made');
  if (await isUnstarted(task, containerId)) {
    await guarded;
    // Whatever prints runs: the market need not wait for the engine to say so. A report that fails ends the task
    // where it is made, or is made again below.
    await output.attach(containerId, () => void task.reportStarted().catch(() => undefined));
    try {
      await driver.startTask(containerId);
    } catch (thrown) {
      if (isContainerError(thrown, 'network-gone')) return await makeAnew(task);
      if (isContainerError(thrown, 'command-not-found', 'command-missing', 'start-failed', 'image-refused')) {
        throw new TaskFailure('start-failed', thrown.message, thrown);
      }
      throw thrown;
    }
  }
  await journal.update({ startedAt: bootClock.now() });
}

async function isUnstarted({ driver, unstarted }: TaskContext, containerId: string): Promise<boolean> {
  const known = unstarted.containerId === containerId;
  unstarted.containerId = null; // Whatever comes of the start: a second try looks.
  if (known) return true;
  const status = await driver.inspectTask(containerId);
  if (!status) throw new TaskFailure('provider-error', 'The container was gone before it could start.');
  return status.state === 'created';
}

/** Nothing of it has run, so the steps before are simply done again, on this machine and at once. */
async function makeAnew({ journal, driver, output, log }: TaskContext): Promise<void> {
  log.info('the prepared network of a container is gone: making the container anew');
  await driver.removeLease(journal.record.spec.lease_id);
  await output.detach();
  await journal.update({ containerId: null, restored: false });
}
