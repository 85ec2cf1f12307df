import type { JobId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, integer, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';
import { jobs } from './jobs.ts';

/** Receipts as they were given out: the same one again to whoever asks again, a new one when something changed. */
export const receipts = pgTable(
  'receipts',
  {
    jobId: text()
      .$type<JobId>()
      .notNull()
      .references(() => jobs.id),
    /** 1, 2, 3, … within the job. */
    number: integer().notNull(),
    /** The signed document, as text. */
    document: text().notNull(),
    issuedAt: moment().notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.number] }), check('receipts_number', sql`${t.number} >= 1`)],
);
