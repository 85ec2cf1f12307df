import type { TaskContext } from '../task-context.ts';

/** Takes the offer: from now on the lease has a term, and so has the task. */
export async function acceptOffer({ journal, reports, signal }: TaskContext): Promise<void> {
  const aliveUntil = await reports.accept(signal);
  await journal.update({ aliveUntil });
}
