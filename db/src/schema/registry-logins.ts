import type { JobId } from '@computefabric/protocol/ids';
import { pgTable, text } from 'drizzle-orm/pg-core';
import { jobs } from './jobs.ts';

/** What a job's machine needs to pull its image, sealed; there while the job is not final, and no longer. */
export const registryLogins = pgTable('registry_logins', {
  jobId: text()
    .$type<JobId>()
    .primaryKey()
    .references(() => jobs.id),
  sealed: text().notNull(),
});
