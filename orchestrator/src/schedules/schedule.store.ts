import type { Db, Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { scheduleFirings } from '@computefabric/db/schema/schedule-firings';
import { schedules } from '@computefabric/db/schema/schedules';
import { type ScheduleId, scheduleId, type UserId } from '@computefabric/protocol/ids';
import { and, asc, count, desc, eq, inArray, isNotNull, isNull, lt, lte, sql } from 'drizzle-orm';

export type ScheduleRow = typeof schedules.$inferSelect;

/** False when the user has a schedule of that name. */
export async function insertSchedule(
  tx: Tx,
  row: typeof schedules.$inferInsert,
): Promise<ScheduleRow | null> {
  const [inserted] = await tx
    .insert(schedules)
    .values(row)
    .onConflictDoNothing({ target: [schedules.userId, schedules.name] })
    .returning();
  return inserted ?? null;
}

export async function countSchedulesOf(db: Db | Tx, userId: UserId): Promise<number> {
  const [row] = await db.select({ all: count() }).from(schedules).where(eq(schedules.userId, userId));
  return row?.all ?? 0;
}

/** A user's schedule by its id or name. */
export async function findScheduleOf(db: Db | Tx, userId: UserId, ref: string): Promise<ScheduleRow | null> {
  const named = scheduleId.safeParse(ref);
  const [row] = await db
    .select()
    .from(schedules)
    .where(
      and(
        eq(schedules.userId, userId),
        named.success ? eq(schedules.id, named.data) : eq(schedules.name, ref),
      ),
    );
  return row ?? null;
}

/** A user's schedules, newest first. */
export async function listSchedulesOf(
  db: Db,
  userId: UserId,
  { limit, before }: { limit: number; before: ScheduleId | undefined },
): Promise<ScheduleRow[]> {
  return await db
    .select()
    .from(schedules)
    .where(and(eq(schedules.userId, userId), before === undefined ? undefined : lt(schedules.id, before)))
    .orderBy(desc(schedules.id))
    .limit(limit);
}

export type FiringRow = Awaited<ReturnType<typeof listFirings>>[number];

/** Times at which a schedule fired, newest first. */
export async function listFirings(
  db: Db | Tx,
  id: ScheduleId,
  { limit, before }: { limit: number; before: number | undefined },
) {
  return await db
    .select({ firing: scheduleFirings, jobName: jobs.name })
    .from(scheduleFirings)
    .leftJoin(jobs, eq(jobs.id, scheduleFirings.jobId))
    .where(
      and(
        eq(scheduleFirings.scheduleId, id),
        before === undefined ? undefined : lt(scheduleFirings.id, before),
      ),
    )
    .orderBy(desc(scheduleFirings.id))
    .limit(limit);
}

/** The last firing of each of these schedules. */
export async function lastFirings(
  db: Db | Tx,
  ids: readonly ScheduleId[],
): Promise<ReadonlyMap<ScheduleId, FiringRow>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectDistinctOn([scheduleFirings.scheduleId], { firing: scheduleFirings, jobName: jobs.name })
    .from(scheduleFirings)
    .leftJoin(jobs, eq(jobs.id, scheduleFirings.jobId))
    .where(inArray(scheduleFirings.scheduleId, [...ids]))
    .orderBy(scheduleFirings.scheduleId, desc(scheduleFirings.id));
  return new Map(rows.map((row) => [row.firing.scheduleId, row]));
}

/** active → paused, with the reason; false when it was paused already. */
export async function pauseSchedule(tx: Tx, id: ScheduleId, because: string): Promise<boolean> {
  const rows = await tx
    .update(schedules)
    .set({ state: 'paused', pausedBecause: because, nextAt: null })
    .where(and(eq(schedules.id, id), eq(schedules.state, 'active')))
    .returning({ id: schedules.id });
  return rows.length === 1;
}

/** paused → active, to fire at `nextAt`; false when it was active already. */
export async function resumeSchedule(tx: Tx, id: ScheduleId, nextAt: Date): Promise<boolean> {
  const rows = await tx
    .update(schedules)
    .set({ state: 'active', pausedBecause: null, failures: 0, nextAt })
    .where(and(eq(schedules.id, id), eq(schedules.state, 'paused')))
    .returning({ id: schedules.id });
  return rows.length === 1;
}

/** Removes a schedule and its list of firings; false when it is gone already. */
export async function removeSchedule(tx: Tx, id: ScheduleId): Promise<boolean> {
  const rows = await tx.delete(schedules).where(eq(schedules.id, id)).returning({ id: schedules.id });
  return rows.length === 1;
}

/** Schedules whose time has come, by the database's clock. */
export async function findDueSchedules(db: Db, limit: number): Promise<ScheduleId[]> {
  const rows = await db
    .select({ id: schedules.id })
    .from(schedules)
    .where(and(isNotNull(schedules.nextAt), lte(schedules.nextAt, sql`now()`)))
    .orderBy(asc(schedules.nextAt))
    .limit(limit);
  return rows.map((row) => row.id);
}

/** Milliseconds until the next schedule is due; null when none is active. */
export async function nextDueMs(db: Db): Promise<number | null> {
  const [row] = await db
    .select({
      ms: sql<number | null>`(extract(epoch from min(${schedules.nextAt}) - now()) * 1000)::float8`,
    })
    .from(schedules)
    .where(isNotNull(schedules.nextAt));
  return row?.ms === null || row?.ms === undefined ? null : Math.max(0, row.ms);
}

/** Locks a schedule that is due; null when it is not, or when another worker fires it now. */
export async function lockDueSchedule(tx: Tx, id: ScheduleId): Promise<ScheduleRow | null> {
  const [row] = await tx
    .select()
    .from(schedules)
    .where(and(eq(schedules.id, id), eq(schedules.state, 'active'), lte(schedules.nextAt, sql`now()`)))
    .for('update', { skipLocked: true });
  return row ?? null;
}

/** Writes what became of a time, once for each; false when there is a row for it already. */
export async function insertFiring(tx: Tx, row: typeof scheduleFirings.$inferInsert): Promise<boolean> {
  const rows = await tx
    .insert(scheduleFirings)
    .values(row)
    .onConflictDoNothing({ target: [scheduleFirings.scheduleId, scheduleFirings.dueAt] })
    .returning({ id: scheduleFirings.id });
  return rows.length === 1;
}

/** Removes all but the newest `keep` firings of a schedule. */
export async function pruneFirings(tx: Tx, id: ScheduleId, keep: number): Promise<void> {
  const newestGone = tx
    .select({ id: scheduleFirings.id })
    .from(scheduleFirings)
    .where(eq(scheduleFirings.scheduleId, id))
    .orderBy(desc(scheduleFirings.id))
    .offset(keep)
    .limit(1);
  await tx
    .delete(scheduleFirings)
    .where(and(eq(scheduleFirings.scheduleId, id), lte(scheduleFirings.id, newestGone)));
}

/** Moves a schedule that fired at `firedFor` on to its next time; false when somebody else did. */
export async function advanceSchedule(
  tx: Tx,
  id: ScheduleId,
  { firedFor, nextAt, failures }: { firedFor: Date; nextAt: Date; failures: number },
): Promise<boolean> {
  const rows = await tx
    .update(schedules)
    .set({ nextAt, failures })
    .where(and(eq(schedules.id, id), eq(schedules.state, 'active'), eq(schedules.nextAt, firedFor)))
    .returning({ id: schedules.id });
  return rows.length === 1;
}

/** A job of this schedule that has not ended. */
export async function hasUnfinishedJob(tx: Tx, id: ScheduleId): Promise<boolean> {
  const [row] = await tx
    .select({ id: jobs.id })
    .from(scheduleFirings)
    .innerJoin(jobs, eq(jobs.id, scheduleFirings.jobId))
    .where(and(eq(scheduleFirings.scheduleId, id), isNull(jobs.finishedAt)))
    .limit(1);
  return row !== undefined;
}
