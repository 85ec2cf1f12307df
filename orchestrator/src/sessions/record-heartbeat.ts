import type { JobId, ProviderId } from '@computefabric/protocol/ids';
import type { TaskState } from '@computefabric/protocol/lease-state';
import type { TaskAnswer } from '@computefabric/protocol/provider-api/v1/session';
import { lockJob } from '../jobs/job.store.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import type { ReportedTask } from '../leases/heartbeat.store.ts';
import { answerTo, keepAlive } from './keep-alive.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';

/** Keeps the leases alive that are still this machine's, notes what it says of them and tells their fate. */
export async function recordHeartbeat(
  deps: LeaseDeps,
  providerId: ProviderId,
  tasks: readonly ReportedTask[],
): Promise<TaskAnswer[]> {
  const answers: TaskAnswer[] = [];
  for (const task of tasks) {
    const renewed = await keepAlive(deps, providerId, task);
    if (!renewed) deps.onStaleCall('heartbeat');
    else if (renewed.previousTaskState !== task.task_state) await tellReader(deps, renewed.jobId, task);
    answers.push(answerTo(task.lease_id, renewed));
  }
  return answers;
}

const sentences: Partial<Record<TaskState, string>> = {
  pulling: 'The machine pulls the image.',
  creating: 'The machine creates the container.',
  stopping: 'The machine stops the program.',
};

/** The steps before the start are news for the renter; the later ones have events of their own. */
async function tellReader(deps: LeaseDeps, jobId: JobId, task: ReportedTask): Promise<void> {
  const message = sentences[task.task_state];
  if (!message) return;
  await deps.db.transaction(async (tx) => {
    const job = await lockJob(tx, jobId);
    if (job?.leaseId !== task.lease_id) return;
    await appendJobEvent(tx, { jobId, type: task.task_state, message, leaseId: task.lease_id });
  });
}
