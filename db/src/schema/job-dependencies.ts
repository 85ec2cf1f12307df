import type { GroupId, JobId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { bigserial, check, index, pgTable, text } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';
import { jobGroups } from './job-groups.ts';
import { jobs } from './jobs.ts';

export const dependencyConditions = ['success', 'any', 'failure'] as const;

/** A job, or a whole group, that waits in `blocked` until another job or group has ended. */
export const jobDependencies = pgTable(
  'job_dependencies',
  {
    id: bigserial({ mode: 'number' }).primaryKey(),
    /** Who waits: one of the two. */
    jobId: text()
      .$type<JobId>()
      .references(() => jobs.id),
    groupId: text()
      .$type<GroupId>()
      .references(() => jobGroups.id),
    /** For whom: one of the two. */
    onJobId: text()
      .$type<JobId>()
      .references(() => jobs.id),
    onGroupId: text()
      .$type<GroupId>()
      .references(() => jobGroups.id),
    condition: text({ enum: dependencyConditions }).notNull(),
    /** Set once and for all; null while it is open. */
    metAt: moment(),
  },
  (t) => [
    check('job_dependencies_condition', oneOf(t.condition, dependencyConditions)),
    check('job_dependencies_waits', sql`num_nonnulls(${t.jobId}, ${t.groupId}) = 1`),
    check('job_dependencies_on', sql`num_nonnulls(${t.onJobId}, ${t.onGroupId}) = 1`),
    index('job_dependencies_job').on(t.jobId).where(sql`${t.jobId} is not null`),
    index('job_dependencies_group').on(t.groupId).where(sql`${t.groupId} is not null`),
    index('job_dependencies_on_job')
      .on(t.onJobId)
      .where(sql`${t.metAt} is null and ${t.onJobId} is not null`),
    index('job_dependencies_on_group')
      .on(t.onGroupId)
      .where(sql`${t.metAt} is null and ${t.onGroupId} is not null`),
  ],
);
