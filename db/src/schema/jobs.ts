import { type EndReason, endReasonCodes } from '@computefabric/protocol/end-reason';
import type { JobId, LeaseId, UserId } from '@computefabric/protocol/ids';
import { jobStates } from '@computefabric/protocol/job-state';
import { sql } from 'drizzle-orm';
import { check, index, integer, jsonb, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { jsonValue, micros, moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/** What a renter asked for. The rows in state `queued`, ordered by `queuedAt`, are the queue. */
export const jobs = pgTable(
  'jobs',
  {
    id: text().$type<JobId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    name: text().notNull(),
    state: text({ enum: jobStates }).notNull().default('queued'),
    image: text().notNull(),
    /** A string runs in a shell, a list is an argument vector, null is the image's own command. */
    command: jsonValue<string | string[]>(),
    env: jsonb().$type<Record<string, string>>().notNull(),
    gpus: integer().notNull(),
    gpuModels: text().array().notNull(),
    minVramMib: integer().notNull(),
    cpuMilli: integer().notNull(),
    memoryMib: integer().notNull(),
    timeLimitSeconds: integer().notNull(),
    queueTimeoutSeconds: integer(),
    /** Per GPU-hour, or per core-hour when `gpus` is 0. */
    maxPricePerHourMicros: micros().notNull(),
    /** The most it may cost: what was reserved at submit. */
    holdMicros: micros().notNull(),
    /** Tries so far, offers that were refused among them: the number of the latest lease. */
    attempts: integer().notNull().default(0),
    /** The try that is open now; null while queued and after the end. */
    leaseId: text().$type<LeaseId>(),
    cancelRequestedAt: moment(),
    endReason: text({ enum: endReasonCodes }).$type<EndReason>(),
    endDetail: text(),
    exitCode: integer(),
    /** Number of the last event. */
    eventSeq: integer().notNull().default(0),
    createdAt: moment().notNull().defaultNow(),
    /** Since when it waits: set again by a requeue, so the matcher may order by it. */
    queuedAt: moment().notNull().defaultNow(),
    /** Not offered again before this moment: the back-off after a failed try. */
    notBefore: moment(),
    startedAt: moment(),
    finishedAt: moment(),
  },
  (t) => [
    check('jobs_state', oneOf(t.state, jobStates)),
    check('jobs_hold', sql`${t.holdMicros} >= 0 and ${t.maxPricePerHourMicros} >= 0`),
    check('jobs_end', sql`(${t.finishedAt} is null) = (${t.endReason} is null)`),
    uniqueIndex('jobs_user_name').on(t.userId, t.name),
    index('jobs_queue').on(t.queuedAt, t.id).where(sql`${t.state} = 'queued'`),
    index('jobs_user').on(t.userId, t.id.desc()),
    index('jobs_unfinished').on(t.state).where(sql`${t.finishedAt} is null`),
  ],
);
