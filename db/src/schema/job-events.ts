import type { JobId, LeaseId } from '@computefabric/protocol/ids';
import { jobStates } from '@computefabric/protocol/job-state';
import { integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';

/** What happened to a job, in order; never changed, never removed. */
export const jobEvents = pgTable(
  'job_events',
  {
    // No foreign key, for the same reason as in leases.ts: numbering an event changes the job's row.
    jobId: text().$type<JobId>().notNull(),
    /** 1, 2, 3, … within the job, without a gap: readers resume by it. */
    seq: integer().notNull(),
    at: moment().notNull().defaultNow(),
    type: text().notNull(),
    message: text().notNull(),
    /** The job's state after this. */
    state: text({ enum: jobStates }).notNull(),
    leaseId: text().$type<LeaseId>(),
    data: jsonb().$type<Record<string, unknown>>().notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.seq] })],
);
