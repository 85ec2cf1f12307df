import type { Db, Tx } from '@computefabric/db/client';
import { jobDependencies } from '@computefabric/db/schema/job-dependencies';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import type { GroupId, JobId } from '@computefabric/protocol/ids';
import { activeJobStates } from '@computefabric/protocol/job-state';
import { aliasedTable, and, asc, eq, inArray, isNull, or, sql } from 'drizzle-orm';

export type DependencyRow = typeof jobDependencies.$inferSelect;
export interface NewDependency {
  onJobId: JobId | null;
  onGroupId: GroupId | null;
  condition: DependencyRow['condition'];
  /** Known to be met already. */
  met: boolean;
}

/** Who waits. */
export type Dependent = { jobId: JobId; groupId?: undefined } | { groupId: GroupId; jobId?: undefined };

export async function insertDependencies(
  tx: Tx,
  dependent: Dependent,
  rows: readonly NewDependency[],
): Promise<void> {
  if (rows.length === 0) return;
  await tx
    .insert(jobDependencies)
    .values(rows.map(({ met, ...row }) => ({ ...row, ...dependent, metAt: met ? sql`now()` : null })));
}

/** What a job or group comes after, in the order in which it was written, each with how its target stands. */
export async function listDependencies(db: Db | Tx, dependent: Dependent): Promise<TargetStanding[]> {
  const own =
    dependent.jobId === undefined
      ? eq(jobDependencies.groupId, dependent.groupId)
      : eq(jobDependencies.jobId, dependent.jobId);
  return await standings(db, own);
}

export interface TargetStanding {
  id: number;
  condition: DependencyRow['condition'];
  metAt: Date | null;
  onJobId: JobId | null;
  onGroupId: GroupId | null;
  name: string;
  /** Jobs that it stands for: 1, or the members of a group. */
  total: number;
  unfinished: number;
  succeeded: number;
}

async function standings(db: Db | Tx, where: ReturnType<typeof eq>): Promise<TargetStanding[]> {
  const target = aliasedTable(jobs, 'target');
  const count = (condition: ReturnType<typeof sql>) =>
    sql<number>`(select count(*) from ${jobs} m where m.group_id = ${jobDependencies.onGroupId} and ${condition})::int`;
  const active = sql.raw(`(${activeJobStates.map((state) => `'${state}'`).join(', ')})`);
  const rows = await db
    .select({
      id: jobDependencies.id,
      condition: jobDependencies.condition,
      metAt: jobDependencies.metAt,
      onJobId: jobDependencies.onJobId,
      onGroupId: jobDependencies.onGroupId,
      jobName: target.name,
      jobState: target.state,
      groupName: jobGroups.name,
      total: jobGroups.size,
      unfinished: count(sql`m.state in ${active}`),
      succeeded: count(sql`m.state = 'succeeded'`),
    })
    .from(jobDependencies)
    .leftJoin(target, eq(target.id, jobDependencies.onJobId))
    .leftJoin(jobGroups, eq(jobGroups.id, jobDependencies.onGroupId))
    .where(where)
    .orderBy(asc(jobDependencies.id));
  return rows.map(({ jobName, jobState, groupName, ...row }) =>
    jobState === null
      ? { ...row, name: groupName ?? '', total: row.total ?? 0 }
      : {
          ...row,
          name: jobName ?? '',
          total: 1,
          unfinished: activeJobStates.includes(jobState) ? 1 : 0,
          succeeded: jobState === 'succeeded' ? 1 : 0,
        },
  );
}

/** Open → met, once; false when it was met already. */
export async function markMet(tx: Tx, id: number): Promise<boolean> {
  const rows = await tx
    .update(jobDependencies)
    .set({ metAt: sql`now()` })
    .where(and(eq(jobDependencies.id, id), isNull(jobDependencies.metAt)))
    .returning({ id: jobDependencies.id });
  return rows.length === 1;
}

/** Who waits for these jobs, or for these groups. */
export async function findDependents(
  db: Db,
  on: { jobIds: readonly JobId[]; groupIds: readonly GroupId[] },
): Promise<Dependent[]> {
  if (on.jobIds.length === 0 && on.groupIds.length === 0) return [];
  const rows = await db
    .selectDistinct({ jobId: jobDependencies.jobId, groupId: jobDependencies.groupId })
    .from(jobDependencies)
    .where(
      and(
        isNull(jobDependencies.metAt),
        or(
          on.jobIds.length > 0
            ? sql`${jobDependencies.onJobId} = any(${sql.param([...on.jobIds])}::text[])`
            : undefined,
          on.groupIds.length > 0 ? inArray(jobDependencies.onGroupId, [...on.groupIds]) : undefined,
        ),
      ),
    );
  return rows.flatMap(asDependent);
}

function asDependent({ jobId, groupId }: { jobId: JobId | null; groupId: GroupId | null }): Dependent[] {
  if (jobId !== null) return [{ jobId }];
  return groupId === null ? [] : [{ groupId }];
}
