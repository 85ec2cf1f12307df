import type { CheckpointId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { checkpointStates } from '@computefabric/protocol/user-api/checkpoints';
import { sql } from 'drizzle-orm';
import { bigint, check, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';
import { jobs } from './jobs.ts';
import { leases } from './leases.ts';
import { storedObjects } from './stored-objects.ts';

/** State of a job at a moment. Only a complete one is ever used: all it refers to is stored. */
export const checkpoints = pgTable(
  'checkpoints',
  {
    id: text().$type<CheckpointId>().primaryKey(),
    jobId: text()
      .$type<JobId>()
      .notNull()
      .references(() => jobs.id),
    leaseId: text()
      .$type<LeaseId>()
      .notNull()
      .references(() => leases.id),
    attempt: integer().notNull(),
    state: text({ enum: checkpointStates }).notNull().default('arriving'),
    /** When the save began, on the database's clock: work up to here is in it. */
    takenAt: moment().notNull().defaultNow(),
    completedAt: moment(),
    manifestKey: text().references(() => storedObjects.key),
    manifestSha256: text(),
    files: integer().notNull().default(0),
    sizeBytes: bigint({ mode: 'number' }).notNull().default(0),
    /** Sent for this one; the rest was there already. */
    newBytes: bigint({ mode: 'number' }).notNull().default(0),
  },
  (t) => [
    check('checkpoints_state', oneOf(t.state, checkpointStates)),
    check(
      'checkpoints_complete',
      sql`(${t.state} = 'arriving') = (${t.manifestKey} is null) and (${t.state} = 'arriving') = (${t.completedAt} is null)`,
    ),
    uniqueIndex('checkpoints_one_arriving').on(t.leaseId).where(sql`${t.state} = 'arriving'`),
    index('checkpoints_job').on(t.jobId, t.id.desc()),
    index('checkpoints_manifest').on(t.manifestKey),
  ],
);
