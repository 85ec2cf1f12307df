import type { JobId, ScheduleId } from '@computefabric/protocol/ids';
import { firingStates } from '@computefabric/protocol/schedule-state';
import { bigserial, check, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';
import { jobs } from './jobs.ts';
import { schedules } from './schedules.ts';

/** A time at which a schedule fired. At most one row for each time, whoever fires it and however often. */
export const scheduleFirings = pgTable(
  'schedule_firings',
  {
    id: bigserial({ mode: 'number' }).primaryKey(),
    scheduleId: text()
      .$type<ScheduleId>()
      .notNull()
      .references(() => schedules.id, { onDelete: 'cascade' }),
    dueAt: moment().notNull(),
    firedAt: moment().notNull().defaultNow(),
    state: text({ enum: firingStates }).notNull(),
    detail: text(),
    jobId: text()
      .$type<JobId>()
      .references(() => jobs.id),
  },
  (t) => [
    check('schedule_firings_state', oneOf(t.state, firingStates)),
    uniqueIndex('schedule_firings_due').on(t.scheduleId, t.dueAt),
  ],
);
