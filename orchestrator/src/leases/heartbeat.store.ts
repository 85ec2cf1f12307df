import type { Db } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import type { JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { DesiredState, LeaseState, TaskState } from '@computefabric/protocol/lease-state';
import { and, eq, inArray, sql } from 'drizzle-orm';
import { fromNow } from './lease.store.ts';

export interface ReportedTask {
  lease_id: LeaseId;
  fence: number;
  task_state: TaskState;
  progress: { done_bytes: number; total_bytes: number | null } | null;
}

export interface RenewedLease {
  jobId: JobId;
  desired: DesiredState;
  /** A stop's program must have ended within this; null leaves that to its grace time. */
  stopWithinSeconds: number | null;
  /** What the machine said of it the time before. */
  previousTaskState: TaskState | null;
}

/**
 * Keeps a lease alive for another term (the lease time, or longer where its job says so), if it is still this machine's and has not run out: one that has is
 * not revived, even when nobody has noticed yet, because its job may be elsewhere already. Null then.
 */
export async function renewLease(
  db: Db,
  providerId: ProviderId,
  task: ReportedTask,
  ttlSeconds: number,
): Promise<RenewedLease | null> {
  const alive = and(
    eq(leases.id, task.lease_id),
    eq(leases.providerId, providerId),
    eq(leases.fence, task.fence),
    inArray(leases.state, ['active', 'releasing']),
    sql`${leases.expiresAt} > now()`,
  );
  const [before] = await db
    .select({ taskState: leases.taskState, lostAfterSeconds: jobs.lostAfterSeconds })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(alive);
  if (!before) return null;
  const [row] = await db
    .update(leases)
    .set({
      expiresAt: fromNow(Math.max(ttlSeconds, before.lostAfterSeconds ?? 0)),
      taskState: task.task_state,
      progress: task.progress,
      desiredSeenAt: sql`case when ${leases.desired} = 'stop' then coalesce(${leases.desiredSeenAt}, now()) end`,
    })
    .where(alive)
    .returning({
      jobId: leases.jobId,
      desired: leases.desired,
      stopWithinSeconds: sql<
        number | null
      >`greatest(extract(epoch from ${leases.stopBy} - now()), 0)::float8`,
    });
  return row ? { ...row, previousTaskState: before.taskState } : null;
}

/** The machine's leases in one of these states. */
export async function findLeasesOf(
  db: Db,
  providerId: ProviderId,
  states: LeaseState[],
): Promise<{ id: LeaseId; jobId: JobId }[]> {
  return await db
    .select({ id: leases.id, jobId: leases.jobId })
    .from(leases)
    .where(and(eq(leases.providerId, providerId), inArray(leases.state, states)));
}
