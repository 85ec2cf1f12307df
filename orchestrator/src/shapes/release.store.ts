import type { Db, Tx } from '@computefabric/db/client';
import { jobDependencies } from '@computefabric/db/schema/job-dependencies';
import { jobEvents } from '@computefabric/db/schema/job-events';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import { type EndReason, endReasonRow } from '@computefabric/protocol/end-reason';
import type { GroupId, JobId } from '@computefabric/protocol/ids';
import { activeJobStates, jobMachine } from '@computefabric/protocol/job-state';
import { notifyAll } from '../background/signals.ts';
import {
  aliasedTable,
  and,
  asc,
  count,
  eq,
  exists,
  inArray,
  isNotNull,
  isNull,
  not,
  or,
  sql,
} from 'drizzle-orm';

/** blocked → queued, as one that waits from now on; false when it was not blocked. */
export async function unblockJob(tx: Tx, id: JobId): Promise<boolean> {
  const rows = await tx
    .update(jobs)
    .set({ state: 'queued', queuedAt: sql`now()` })
    .where(and(eq(jobs.id, id), eq(jobs.state, 'blocked'), isNull(jobs.budgetHeldAt)))
    .returning({ id: jobs.id });
  return rows.length === 1;
}

/** Members that are neither blocked nor ended. Exact only while the group's row is locked. */
export async function countUnblocked(tx: Tx, id: GroupId): Promise<number> {
  const states = activeJobStates.filter((state) => state !== 'blocked');
  const [row] = await tx
    .select({ members: count() })
    .from(jobs)
    .where(and(eq(jobs.groupId, id), inArray(jobs.state, states)));
  return row?.members ?? 0;
}

/**
 * blocked → queued for the next members of a group, at most `limit`, each with an event. The group's row is
 * locked. A member whose row somebody else holds is passed over: it is being cancelled.
 */
export async function unblockMembers(tx: Tx, id: GroupId, limit: number): Promise<JobId[]> {
  const next = tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(and(eq(jobs.groupId, id), eq(jobs.state, 'blocked'), isNull(jobs.budgetHeldAt)))
    .orderBy(asc(jobs.groupIndex))
    .limit(limit)
    .for('update', { skipLocked: true });
  // Two statements: PostgreSQL may run a sub-select of an UPDATE more than once, each time with other rows.
  const ids = (await next).map((row) => row.id);
  if (ids.length === 0) return [];
  const rows = await tx
    .update(jobs)
    .set({ state: 'queued', queuedAt: sql`now()`, eventSeq: sql`${jobs.eventSeq} + 1` })
    .where(and(inArray(jobs.id, ids), eq(jobs.state, 'blocked')))
    .returning({ id: jobs.id, seq: jobs.eventSeq });
  await tellAll(tx, rows, {
    type: 'unblocked',
    message: 'Its turn has come: the job waits for a machine.',
    state: 'queued',
    data: {},
  });
  return rows.map((row) => row.id);
}

/** Ends members of a group that no machine has, at most `limit`, for this reason; each as `endJob` does it. */
export async function endWaitingMembers(
  tx: Tx,
  id: GroupId,
  { reason, detail }: { reason: EndReason; detail: string | null },
  limit: number,
): Promise<JobId[]> {
  const { finalState, sentence } = endReasonRow(reason);
  const waiting = tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(and(eq(jobs.groupId, id), isWaiting()))
    .orderBy(asc(jobs.groupIndex))
    .limit(limit)
    .for('update', { skipLocked: true });
  const chosen = (await waiting).map((row) => row.id);
  if (chosen.length === 0) return [];
  const rows = await tx
    .update(jobs)
    .set({
      state: finalState,
      endReason: reason,
      endDetail: detail,
      finishedAt: sql`now()`,
      eventSeq: sql`${jobs.eventSeq} + 1`,
      ...(reason === 'cancelled'
        ? { cancelRequestedAt: sql`coalesce(${jobs.cancelRequestedAt}, now())` }
        : {}),
    })
    .where(and(inArray(jobs.id, chosen), isWaiting(), inArray(jobs.state, jobMachine.sourcesOf(finalState))))
    .returning({ id: jobs.id, seq: jobs.eventSeq });
  const data = { reason, exit_code: null, ...(detail ? { detail } : {}) };
  await tellAll(tx, rows, { type: 'ended', message: sentence, state: finalState, data });
  const ids = rows.map((row) => row.id);
  await notifyAll(tx, 'cf_ended', ids);
  return ids;
}

function isWaiting() {
  return and(inArray(jobs.state, ['blocked', 'queued']), isNull(jobs.leaseId));
}

async function tellAll(
  tx: Tx,
  rows: readonly { id: JobId; seq: number }[],
  event: Pick<typeof jobEvents.$inferInsert, 'type' | 'message' | 'state' | 'data'>,
): Promise<void> {
  if (rows.length === 0) return;
  await tx.insert(jobEvents).values(rows.map((row) => ({ jobId: row.id, seq: row.seq, ...event })));
  await notifyAll(
    tx,
    'cf_job',
    rows.map((row) => row.id),
  );
}

/** Of these jobs: the groups that they are in, and those that are blocked in none. */
export async function placesOf(
  db: Db,
  ids: readonly JobId[],
): Promise<{ groupIds: GroupId[]; blocked: JobId[] }> {
  if (ids.length === 0) return { groupIds: [], blocked: [] };
  const rows = await db
    .select({ id: jobs.id, groupId: jobs.groupId })
    .from(jobs)
    .where(
      and(
        sql`${jobs.id} = any(${sql.param([...ids])}::text[])`,
        or(isNotNull(jobs.groupId), eq(jobs.state, 'blocked')),
      ),
    );
  return {
    groupIds: [...new Set(rows.map((row) => row.groupId))].filter((id) => id !== null),
    blocked: rows.filter((row) => row.groupId === null).map((row) => row.id),
  };
}

/** Jobs outside of groups that are blocked and may have nothing left to wait for. */
export async function findReleasableJobs(db: Db, limit: number): Promise<JobId[]> {
  const target = aliasedTable(jobs, 'target');
  const open = and(eq(jobDependencies.jobId, jobs.id), isNull(jobDependencies.metAt));
  const openOne = db.select({ one: sql`1` }).from(jobDependencies).where(open);
  const movedOne = db
    .select({ one: sql`1` })
    .from(jobDependencies)
    .leftJoin(target, eq(target.id, jobDependencies.onJobId))
    .where(and(open, or(isNotNull(target.finishedAt), isNotNull(jobDependencies.onGroupId))));
  const rows = await db
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        eq(jobs.state, 'blocked'),
        isNull(jobs.budgetHeldAt),
        isNull(jobs.groupId),
        or(not(exists(openOne)), exists(movedOne)),
      ),
    )
    .orderBy(sql`random()`)
    .limit(limit);
  return rows.map((row) => row.id);
}

/** Groups with blocked members, and gangs that have not ended: what a sweep looks at, a sample when many. */
export async function findGroupsToTend(db: Db, limit: number): Promise<GroupId[]> {
  const rows = await db
    .select({ id: jobGroups.id })
    .from(jobGroups)
    .innerJoin(jobs, eq(jobs.groupId, jobGroups.id))
    .where(
      and(
        isNull(jobs.finishedAt),
        or(
          eq(jobs.state, 'blocked'),
          eq(jobGroups.kind, 'gang'),
          and(isNotNull(jobGroups.cancelRequestedAt), isNull(jobs.cancelRequestedAt)),
        ),
      ),
    )
    .groupBy(jobGroups.id)
    .orderBy(sql`random()`)
    .limit(limit);
  return rows.map((row) => row.id);
}
