import type { TaskContext } from '../task-context.ts';
import { createContainer } from './create-container.ts';

/**
 * Takes the offer: from now on the lease has a term, and so has the task. While the orchestrator is asked, the
 * container is made already if its image is here: it is started only by the steps that follow, and a task whose
 * offer turns out to be gone is discarded with all that it has.
 */
export async function acceptOffer(task: TaskContext): Promise<void> {
  const { journal, reports, signal } = task;
  const prepared = prepareContainer(task);
  try {
    const aliveUntil = await reports.accept(signal);
    await Promise.all([journal.update({ aliveUntil }), prepared]);
  } finally {
    // Nothing may be made after the task has been discarded.
    await prepared;
  }
}

async function prepareContainer(task: TaskContext): Promise<void> {
  const { journal, driver, halt } = task;
  const { image: known, containerId, spec } = journal.record;
  if (known || containerId || halt.aborted) return;
  try {
    const image = await driver.imagePresent(spec.image);
    if (!image) return;
    await journal.update({ image: { id: image.id, digest: image.digest } });
    await createContainer(task);
  } catch {
    // Only an attempt: the steps themselves do it again, and know what their failure means.
  }
}
