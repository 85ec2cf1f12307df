import { leases } from '@computefabric/db/schema/leases';
import type { JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { TaskState } from '@computefabric/protocol/lease-state';
import type { heartbeat, Verdict } from '@computefabric/protocol/provider-api/v1/session';
import { and, eq, inArray, sql } from 'drizzle-orm';
import type { z } from 'zod';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { lockJob } from '../jobs/job.store.ts';
import { fromNow } from '../leases/lease.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';

type ReportedTask = z.output<NonNullable<typeof heartbeat.body>>['tasks'][number];

/**
 * Keeps the leases alive that are still this machine's, notes what it says of them and tells their fate. A
 * lease that has run out is not revived, even when nobody has noticed yet: the job may be elsewhere already.
 */
export async function recordHeartbeat(
  deps: LeaseDeps,
  providerId: ProviderId,
  tasks: readonly ReportedTask[],
): Promise<{ lease_id: LeaseId; verdict: Verdict }[]> {
  const answers: { lease_id: LeaseId; verdict: Verdict }[] = [];
  for (const task of tasks) {
    const verdict = await renewLease(deps, providerId, task);
    if (verdict === 'gone') deps.onStaleCall('heartbeat');
    answers.push({ lease_id: task.lease_id, verdict });
  }
  return answers;
}

async function renewLease(deps: LeaseDeps, providerId: ProviderId, task: ReportedTask): Promise<Verdict> {
  const alive = and(
    eq(leases.id, task.lease_id),
    eq(leases.providerId, providerId),
    eq(leases.fence, task.fence),
    inArray(leases.state, ['active', 'releasing']),
    sql`${leases.expiresAt} > now()`,
  );
  const [before] = await deps.db
    .select({ taskState: leases.taskState, jobId: leases.jobId })
    .from(leases)
    .where(alive);
  if (!before) return 'gone';
  const [row] = await deps.db
    .update(leases)
    .set({
      expiresAt: fromNow(deps.settings.leaseTtlSeconds),
      taskState: task.task_state,
      progress: task.progress,
      desiredSeenAt: sql`case when ${leases.desired} = 'stop' then coalesce(${leases.desiredSeenAt}, now()) end`,
    })
    .where(alive)
    .returning({ desired: leases.desired });
  if (!row) return 'gone';
  if (before.taskState !== task.task_state) await tellReader(deps, before.jobId, task);
  return row.desired;
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

/** Whether some lease of the machine should stop and the machine has not been told. */
export async function hasUntoldStop(deps: Pick<LeaseDeps, 'db'>, providerId: ProviderId): Promise<boolean> {
  const [row] = await deps.db
    .select({ id: leases.id })
    .from(leases)
    .where(
      and(
        eq(leases.providerId, providerId),
        eq(leases.state, 'active'),
        eq(leases.desired, 'stop'),
        sql`${leases.desiredSeenAt} is null`,
      ),
    )
    .limit(1);
  return row !== undefined;
}
