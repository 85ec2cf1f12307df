import { invariant } from '@computefabric/runtime/invariant';
import { saveLastState } from '../../checkpoints/save-state.ts';
import type { TaskContext } from '../task-context.ts';

/** Saves what the program has left, after its end: an announced departure loses nothing. */
export async function saveState(task: TaskContext): Promise<void> {
  const { journal, signal } = task;
  const { containerId } = journal.record;
  invariant(containerId, 'a program that ran has a container');
  await saveLastState(task, containerId, signal);
  signal.throwIfAborted();
  // Also when it could not be saved: the last checkpoint stands, and the output says so.
  await journal.update({ stateSaved: true });
}
