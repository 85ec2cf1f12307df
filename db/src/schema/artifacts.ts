import type { ArtifactId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { bigint, check, index, pgTable, text, unique } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';
import { jobs } from './jobs.ts';
import { leases } from './leases.ts';

/** A result file. The bytes are in the object store under `blobKey`; the row is written after they are safe. */
export const artifacts = pgTable(
  'artifacts',
  {
    id: text().$type<ArtifactId>().primaryKey(),
    jobId: text()
      .$type<JobId>()
      .notNull()
      .references(() => jobs.id),
    leaseId: text()
      .$type<LeaseId>()
      .notNull()
      .references(() => leases.id),
    /** Relative to /outputs. */
    path: text().notNull(),
    sizeBytes: bigint({ mode: 'number' }).notNull(),
    sha256: text().notNull(),
    blobKey: text().notNull(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    unique('artifacts_lease_path').on(t.leaseId, t.path),
    index('artifacts_job').on(t.jobId),
    index('artifacts_blob').on(t.blobKey),
    check('artifacts_size', sql`${t.sizeBytes} >= 0`),
  ],
);
