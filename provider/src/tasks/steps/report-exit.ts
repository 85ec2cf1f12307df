import type { TaskContext } from '../task-context.ts';

/** Stops the meter. Output and results may still be on their way. */
export async function reportExit(task: TaskContext): Promise<void> {
  await task.reportStarted();
  await task.reports.exited(task.journal.record.exit?.code ?? null, task.signal);
  await task.journal.update({ exitReported: true });
}
