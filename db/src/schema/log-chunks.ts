import type { LeaseId } from '@computefabric/protocol/ids';
import { logStreams } from '@computefabric/protocol/log-frames';
import { check, customType, integer, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';
import { leases } from './leases.ts';

const bytea = customType<{ data: Uint8Array; driverData: Buffer }>({
  dataType: () => 'bytea',
  toDriver: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength),
});

/** Output of a try in numbered pieces. The key makes a repeated batch harmless. */
export const logChunks = pgTable(
  'log_chunks',
  {
    leaseId: text()
      .$type<LeaseId>()
      .notNull()
      .references(() => leases.id),
    seq: integer().notNull(),
    stream: text({ enum: logStreams }).notNull(),
    at: moment().notNull(),
    data: bytea().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.leaseId, t.seq] }),
    check('log_chunks_stream', oneOf(t.stream, logStreams)),
  ],
);
