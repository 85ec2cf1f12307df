import type { CheckpointId, JobId, ProviderId } from '@computefabric/protocol/ids';
import { bigint, index, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { jobs } from './jobs.ts';
import { providers } from './providers.ts';

/** Machines that still have the saved state of a job: on one of them less has to be fetched for its next try. */
export const keptStates = pgTable(
  'kept_states',
  {
    providerId: text()
      .$type<ProviderId>()
      .notNull()
      .references(() => providers.id),
    jobId: text()
      .$type<JobId>()
      .notNull()
      .references(() => jobs.id),
    /** What the machine has, whole; the checkpoint itself may have been dropped since. */
    checkpointId: text().$type<CheckpointId>().notNull(),
    /** For the job's next try from this checkpoint, `bytes` of it are there. Counted by us, not by the machine. */
    countedFor: text().$type<CheckpointId>().notNull(),
    bytes: bigint({ mode: 'number' }).notNull(),
  },
  (t) => [uniqueIndex('kept_states_each').on(t.providerId, t.jobId), index('kept_states_job').on(t.jobId)],
);
