import { groupKinds } from '@computefabric/protocol/group-kind';
import type { GroupId, UserId } from '@computefabric/protocol/ids';
import type { GroupSpecInput } from '@computefabric/protocol/user-api/groups';
import { sql } from 'drizzle-orm';
import { check, index, integer, jsonb, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/** An array or a gang: jobs that were submitted together. How it stands follows from its members. */
export const jobGroups = pgTable(
  'job_groups',
  {
    id: text().$type<GroupId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    name: text().notNull(),
    kind: text({ enum: groupKinds }).notNull(),
    /** Members, numbered from 0. */
    size: integer().notNull(),
    /** Members that may be out of `blocked` at the same time; null is all. */
    maxParallel: integer(),
    /** As it was asked for. */
    spec: jsonb().$type<GroupSpecInput>().notNull(),
    cancelRequestedAt: moment(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('job_groups_kind', oneOf(t.kind, groupKinds)),
    check('job_groups_size', sql`${t.size} >= 1 and ${t.maxParallel} >= 1`),
    uniqueIndex('job_groups_user_name').on(t.userId, t.name),
    index('job_groups_user').on(t.userId, t.id.desc()),
  ],
);
