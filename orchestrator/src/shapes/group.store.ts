import type { Db, Tx } from '@computefabric/db/client';
import { jobEvents } from '@computefabric/db/schema/job-events';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { type GroupId, type JobId, newId, type UserId } from '@computefabric/protocol/ids';
import { activeJobStates, type JobState, jobStates } from '@computefabric/protocol/job-state';
import { and, asc, count, desc, eq, inArray, isNotNull, isNull, lt, max, min, sql, sum } from 'drizzle-orm';
import type { GroupRow } from '../jobs/group-reads.store.ts';
import type { NewJob } from '../jobs/job-reads.store.ts';
import type { LeaseRow } from '../leases/lease.store.ts';

/** Members of one statement: some forty columns each, and PostgreSQL takes 65,535 values in one. */
const insertBatch = 500;

export async function insertGroup(tx: Tx, row: typeof jobGroups.$inferInsert): Promise<GroupRow | null> {
  const [inserted] = await tx
    .insert(jobGroups)
    .values(row)
    .onConflictDoNothing({ target: [jobGroups.userId, jobGroups.name] })
    .returning();
  return inserted ?? null;
}

/**
 * Writes members with their payments and first events.
 *
 * @returns the first name that the user has already; nothing more is written then
 */
export async function insertMembers(
  tx: Tx,
  rows: readonly (NewJob & { state: JobState })[],
  submitted: { currency: string; message: string; data: Record<string, unknown> },
): Promise<string | null> {
  for (let start = 0; start < rows.length; start += insertBatch) {
    const batch = rows.slice(start, start + insertBatch);
    const inserted = await tx
      .insert(jobs)
      .values(batch.map((row) => ({ ...row, eventSeq: 1 })))
      .onConflictDoNothing({ target: [jobs.userId, jobs.name] })
      .returning({ id: jobs.id });
    if (inserted.length < batch.length) {
      const there = new Set(inserted.map(({ id }) => id));
      return batch.find(({ id }) => !there.has(id))?.name ?? '';
    }
    await tx.insert(payments).values(
      batch.map((row) => ({
        id: newId('payment'),
        jobId: row.id,
        userId: row.userId,
        currency: submitted.currency,
        holdMicros: row.holdMicros,
      })),
    );
    await tx.insert(jobEvents).values(
      batch.map((row) => ({
        jobId: row.id,
        seq: 1,
        type: 'submitted',
        message: submitted.message,
        state: row.state,
        data: submitted.data,
      })),
    );
  }
  return null;
}

/** Locks the group's row: whoever lets members out of `blocked` does so one after the other. */
export async function lockGroup(tx: Tx, id: GroupId): Promise<GroupRow | null> {
  const [row] = await tx.select().from(jobGroups).where(eq(jobGroups.id, id)).for('update');
  return row ?? null;
}

/** A user's groups, newest first. */
export async function listGroupsOf(
  db: Db,
  userId: UserId,
  { limit, before }: { limit: number; before: GroupId | undefined },
): Promise<GroupRow[]> {
  return await db
    .select()
    .from(jobGroups)
    .where(and(eq(jobGroups.userId, userId), before === undefined ? undefined : lt(jobGroups.id, before)))
    .orderBy(desc(jobGroups.id))
    .limit(limit);
}

export type StateCounts = Record<JobState, number>;

/** How many members of each group are in each state. */
export async function countStates(
  db: Db | Tx,
  ids: readonly GroupId[],
): Promise<ReadonlyMap<GroupId, StateCounts>> {
  const counts = new Map(ids.map((id) => [id, noMembers()]));
  if (ids.length === 0) return counts;
  const rows = await db
    .select({ id: jobs.groupId, state: jobs.state, members: count() })
    .from(jobs)
    .where(inArray(jobs.groupId, [...ids]))
    .groupBy(jobs.groupId, jobs.state);
  for (const { id, state, members } of rows) {
    const group = id === null ? undefined : counts.get(id);
    if (group) group[state] = members;
  }
  return counts;
}

function noMembers(): StateCounts {
  return Object.fromEntries(jobStates.map((state) => [state, 0])) as StateCounts;
}

/** What a group as a whole has come to: its image, holds, frozen bills and last end. */
export async function totalsOf(db: Db | Tx, id: GroupId) {
  const [row] = await db
    .select({
      image: min(jobs.image),
      holdMicros: sql<string>`coalesce(${sum(jobs.holdMicros)}, 0)`,
      finishedAt: max(jobs.finishedAt),
    })
    .from(jobs)
    .where(eq(jobs.groupId, id));
  const [bills] = await db
    .select({
      costMicros: sql<string>`coalesce(${sum(leases.costMicros)}, 0)`,
      billedMs: sql<string>`coalesce(${sum(leases.billedMs)}, 0)`,
    })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(and(eq(jobs.groupId, id), isNotNull(leases.endedAt)));
  const [open] = await db
    .select({ unsettled: count() })
    .from(payments)
    .innerJoin(jobs, eq(jobs.id, payments.jobId))
    .where(and(eq(jobs.groupId, id), isNull(payments.settledAt)));
  return {
    image: row?.image ?? '',
    holdMicros: BigInt(row?.holdMicros ?? 0),
    finishedAt: row?.finishedAt ?? null,
    costMicros: BigInt(bills?.costMicros ?? 0),
    billedMs: Number(bills?.billedMs ?? 0),
    unsettled: open?.unsettled ?? 0,
  };
}

/** Tries of a group's members that have not ended, with what their meter needs. */
export async function listOpenLeases(
  db: Db | Tx,
  id: GroupId,
): Promise<{ lease: LeaseRow; timeLimitSeconds: number }[]> {
  return await db
    .select({ lease: leases, timeLimitSeconds: jobs.timeLimitSeconds })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(and(eq(jobs.groupId, id), isNull(leases.endedAt)));
}

/** The first members that ended without success. */
export async function listFailures(db: Db | Tx, id: GroupId, limit: number) {
  return await db
    .select({
      id: jobs.id,
      index: jobs.groupIndex,
      name: jobs.name,
      state: jobs.state,
      endReason: jobs.endReason,
      exitCode: jobs.exitCode,
    })
    .from(jobs)
    .where(and(eq(jobs.groupId, id), inArray(jobs.state, ['failed', 'expired', 'cancelled'])))
    .orderBy(asc(jobs.groupIndex))
    .limit(limit);
}

/** Marks that the renter asked all members to stop; a repeat keeps the first moment. */
export async function requestGroupCancel(tx: Tx, id: GroupId): Promise<void> {
  await tx
    .update(jobGroups)
    .set({ cancelRequestedAt: sql`coalesce(${jobGroups.cancelRequestedAt}, now())` })
    .where(eq(jobGroups.id, id));
}

/** Members that have not ended and were not asked to stop. */
export async function findUntold(db: Db | Tx, id: GroupId): Promise<{ id: JobId; userId: UserId }[]> {
  return await db
    .select({ id: jobs.id, userId: jobs.userId })
    .from(jobs)
    .where(and(eq(jobs.groupId, id), inArray(jobs.state, activeJobStates), isNull(jobs.cancelRequestedAt)))
    .orderBy(asc(jobs.groupIndex));
}

/** All members of a group in the order of their indexes. */
export async function listRanks(db: Db | Tx, id: GroupId): Promise<{ id: JobId; state: JobState }[]> {
  return await db
    .select({ id: jobs.id, state: jobs.state })
    .from(jobs)
    .where(eq(jobs.groupId, id))
    .orderBy(asc(jobs.groupIndex));
}
