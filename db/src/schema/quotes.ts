import type { JobId, QuoteId, UserId } from '@computefabric/protocol/ids';
import type { Estimate } from '@computefabric/protocol/user-api/quotes';
import { index, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';
import { users } from './users.ts';

/** What somebody was told to expect. Kept where the job was submitted with it; else removed after an hour. */
export const quotes = pgTable(
  'quotes',
  {
    id: text().$type<QuoteId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    /** SHA-256 of the job that was asked about: another job has another quote. */
    specHash: text().notNull(),
    estimate: jsonb().$type<Estimate>().notNull(),
    /** The job that was submitted with it. */
    jobId: text().$type<JobId>().unique(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [index('quotes_user').on(t.userId, t.createdAt)],
);
