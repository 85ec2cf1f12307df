import { disputeReasons, disputeStates } from '@computefabric/protocol/dispute';
import type { DisputeId, JobId, UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, index, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { jobs } from './jobs.ts';
import { users } from './users.ts';

/** A renter contests a job: one for each job. Its decisions are in `dispute_decisions`. */
export const disputes = pgTable(
  'disputes',
  {
    id: text().$type<DisputeId>().primaryKey(),
    jobId: text()
      .$type<JobId>()
      .notNull()
      .unique()
      .references(() => jobs.id),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    state: text({ enum: disputeStates }).notNull().default('open'),
    reason: text({ enum: disputeReasons }).notNull(),
    message: text().notNull(),
    /** What our own records said of the job when it was opened. */
    evidence: jsonb().$type<Record<string, unknown>>().notNull(),
    /** Given back to the renter so far. */
    refundMicros: micros().notNull().default(sql`'0'`),
    createdAt: moment().notNull().defaultNow(),
    decidedAt: moment(),
  },
  (t) => [
    check('disputes_state', oneOf(t.state, disputeStates)),
    check('disputes_reason', oneOf(t.reason, disputeReasons)),
    check('disputes_refund', sql`${t.refundMicros} >= 0`),
    check('disputes_decided', sql`(${t.state} = 'open') = (${t.decidedAt} is null)`),
    index('disputes_state_id').on(t.state, t.id.desc()),
    index('disputes_user').on(t.userId, t.id.desc()),
  ],
);
