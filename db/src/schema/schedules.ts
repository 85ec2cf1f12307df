import type { ScheduleId, UserId } from '@computefabric/protocol/ids';
import { overlapRules, scheduleStates } from '@computefabric/protocol/schedule-state';
import type { JobSpecInput } from '@computefabric/protocol/user-api/job-spec';
import { sql } from 'drizzle-orm';
import { check, index, integer, jsonb, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/** A job that is submitted again and again, at the times of a cron line. */
export const schedules = pgTable(
  'schedules',
  {
    id: text().$type<ScheduleId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    name: text().notNull(),
    state: text({ enum: scheduleStates }).notNull().default('active'),
    pausedBecause: text(),
    cron: text().notNull(),
    timezone: text().notNull(),
    overlap: text({ enum: overlapRules }).notNull(),
    spec: jsonb().$type<JobSpecInput>().notNull(),
    /** When it fires next; null while paused. */
    nextAt: moment(),
    /** Times in a row that no job could be submitted. */
    failures: integer().notNull().default(0),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('schedules_state', oneOf(t.state, scheduleStates)),
    check('schedules_overlap', oneOf(t.overlap, overlapRules)),
    check('schedules_next', sql`(${t.state} = 'active') = (${t.nextAt} is not null)`),
    uniqueIndex('schedules_user_name').on(t.userId, t.name),
    index('schedules_user').on(t.userId, t.id.desc()),
    index('schedules_due').on(t.nextAt).where(sql`${t.nextAt} is not null`),
  ],
);
