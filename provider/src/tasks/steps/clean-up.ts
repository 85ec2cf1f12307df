import type { TaskContext } from '../task-context.ts';
import { readLastOutput } from './save-results.ts';

/** Removes the container and all that belongs to it. */
export async function cleanUp(task: TaskContext): Promise<void> {
  const { journal, driver } = task;
  const { saved, startedAt, containerId, spec } = journal.record;
  // Of an expired task the container goes before the output has been shipped, but not before it was read.
  if (!saved && startedAt && containerId) await readLastOutput(task, containerId);
  await driver.removeLease(spec.lease_id);
  await journal.update({ removed: true });
}
