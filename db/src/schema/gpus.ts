import type { GpuId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { boolean, check, index, integer, pgTable, text, unique } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';
import { providers } from './providers.ts';

/** One GPU of a machine. `leaseId` is the reservation: taking a GPU is one guarded update of this row. */
export const gpus = pgTable(
  'gpus',
  {
    id: text().$type<GpuId>().primaryKey(),
    providerId: text()
      .$type<ProviderId>()
      .notNull()
      .references(() => providers.id),
    uuid: text().notNull(),
    index: integer().notNull(),
    name: text().notNull(),
    memoryMib: integer().notNull(),
    driverVersion: text(),
    computeCapability: text(),
    /** Pretended, so that the market can be tried without the hardware. */
    simulated: boolean().notNull(),
    /** The machine named it in its last hello. A card that was taken out keeps its row for old receipts. */
    present: boolean().notNull().default(true),
    /** No foreign key: leases name GPUs and GPUs name leases, and the lease is written first. */
    leaseId: text().$type<LeaseId>(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    unique('gpus_provider_uuid').on(t.providerId, t.uuid),
    index('gpus_lease').on(t.leaseId),
    check('gpus_memory', sql`${t.memoryMib} > 0`),
  ],
);
