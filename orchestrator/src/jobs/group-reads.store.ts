import type { Db, Tx } from '@computefabric/db/client';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import { type GroupId, groupId, type UserId } from '@computefabric/protocol/ids';
import { and, eq, inArray } from 'drizzle-orm';
import type { JobRow } from './job.store.ts';

export type GroupRow = typeof jobGroups.$inferSelect;

/** A user's group by its id or name. */
export async function findGroupOf(db: Db | Tx, userId: UserId, ref: string): Promise<GroupRow | null> {
  const named = groupId.safeParse(ref);
  const [row] = await db
    .select()
    .from(jobGroups)
    .where(
      and(
        eq(jobGroups.userId, userId),
        named.success ? eq(jobGroups.id, named.data) : eq(jobGroups.name, ref),
      ),
    );
  return row ?? null;
}

/** The groups of these ids. */
export async function groupsById(
  db: Db | Tx,
  ids: readonly (GroupId | null)[],
): Promise<ReadonlyMap<GroupId, GroupRow>> {
  const wanted = [...new Set(ids)].filter((id) => id !== null);
  if (wanted.length === 0) return new Map();
  const rows = await db.select().from(jobGroups).where(inArray(jobGroups.id, wanted));
  return new Map(rows.map((row) => [row.id, row]));
}

/** Form of a reference to a member: `sweep/3`. */
const memberForm = /^(.{1,120})\/(\d{1,5})$/;

/** The member that a reference such as `sweep/3` names; null when it has another form or there is none. */
export async function findMemberOf(db: Db | Tx, userId: UserId, ref: string): Promise<JobRow | null> {
  const [, groupRef, index] = memberForm.exec(ref) ?? [];
  if (groupRef === undefined || index === undefined) return null;
  const group = await findGroupOf(db, userId, groupRef);
  if (!group) return null;
  const [row] = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.groupId, group.id), eq(jobs.groupIndex, Number(index))));
  return row ?? null;
}
