import type { LeaseId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { bigint, boolean, check, integer, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';

/**
 * The running time of a try as it was written down: a chain in which each record names the one before it by its
 * hash, signed by the market. Never changed, except that the machine's signature is added once.
 */
export const meteringRecords = pgTable(
  'metering_records',
  {
    // No foreign key, for the same reason as in leases.ts.
    leaseId: text().$type<LeaseId>().notNull(),
    /** 1, 2, 3, … within the try. */
    seq: integer().notNull(),
    fromAt: moment().notNull(),
    toAt: moment().notNull(),
    /** Running time that the machine was heard of in: in this record, and since the start of the try. */
    meteredMs: bigint({ mode: 'number' }).notNull(),
    totalMs: bigint({ mode: 'number' }).notNull(),
    final: boolean().notNull(),
    /** SHA-256 of the record before, or of the try's terms. */
    prev: text().notNull(),
    keyId: text().notNull(),
    signature: text().notNull(),
    agentKeyId: text(),
    agentSignature: text(),
  },
  (t) => [
    primaryKey({ columns: [t.leaseId, t.seq] }),
    check('metering_records_time', sql`${t.meteredMs} >= 0 and ${t.totalMs} >= ${t.meteredMs}`),
    check('metering_records_agent', sql`(${t.agentKeyId} is null) = (${t.agentSignature} is null)`),
  ],
);
