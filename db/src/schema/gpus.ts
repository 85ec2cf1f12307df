import type { GpuId, ProviderId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { boolean, check, integer, pgTable, text, unique } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';
import { providers } from './providers.ts';

/**
 * One GPU of a machine. What is taken of it is what the open leases of its machine name: there is no second
 * record of it that could disagree, and a grant adds them up while it holds the machine's row.
 */
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
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    unique('gpus_provider_uuid').on(t.providerId, t.uuid),
    check('gpus_memory', sql`${t.memoryMib} > 0`),
  ],
);
