import type { JobId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { bigint, check, index, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';
import { jobs } from './jobs.ts';

export const storedObjectStates = ['arriving', 'stored', 'removing'] as const;

/**
 * Every piece of bytes in the object store: result files, chunks and manifests of checkpoints. A key is used
 * once: bytes of the same hash that come while an object is being removed get a key of their own, so a
 * removal never hits newer bytes.
 */
export const storedObjects = pgTable(
  'stored_objects',
  {
    key: text().primaryKey(),
    /** Bytes are shared within a job and never between jobs: nobody can ask for what is not theirs by its hash. */
    jobId: text()
      .$type<JobId>()
      .notNull()
      .references(() => jobs.id),
    sha256: text().notNull(),
    sizeBytes: bigint({ mode: 'number' }).notNull(),
    state: text({ enum: storedObjectStates }).notNull().default('arriving'),
    /** Last put, or last time that something began to refer to it: what nothing refers to is removed later. */
    touchedAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('stored_objects_state', oneOf(t.state, storedObjectStates)),
    check('stored_objects_size', sql`${t.sizeBytes} >= 0`),
    uniqueIndex('stored_objects_content').on(t.jobId, t.sha256).where(sql`${t.state} <> 'removing'`),
    index('stored_objects_touched').on(t.touchedAt),
  ],
);
