import type { ProviderId, UserId } from '@computefabric/protocol/ids';
import { providerStates } from '@computefabric/protocol/provider-state';
import { sql } from 'drizzle-orm';
import { bigint, check, index, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/** A machine that offers its idle GPUs. */
export const providers = pgTable(
  'providers',
  {
    id: text().$type<ProviderId>().primaryKey(),
    ownerId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    name: text().notNull(),
    state: text({ enum: providerStates }).notNull().default('pending'),
    /** SHA-256 of the machine's secret, hex. */
    credentialHash: text().notNull(),
    /** Counts hellos. Calls that name an older number come from a process that was replaced. */
    session: bigint({ mode: 'number' }).notNull().default(0),
    agentVersion: text().notNull().default(''),
    hostname: text().notNull().default(''),
    os: text().notNull().default(''),
    arch: text().notNull().default(''),
    cpuModel: text().notNull().default(''),
    /** Thousandths of a core offered. */
    cpuMilli: integer().notNull().default(0),
    memoryMib: integer().notNull().default(0),
    diskFreeMib: integer().notNull().default(0),
    dockerVersion: text().notNull().default(''),
    pricePerGpuHourMicros: micros().notNull().default(sql`'0'`),
    pricePerCpuHourMicros: micros().notNull().default(sql`'0'`),
    lastSeenAt: moment(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('providers_state', oneOf(t.state, providerStates)),
    check('providers_prices', sql`${t.pricePerGpuHourMicros} >= 0 and ${t.pricePerCpuHourMicros} >= 0`),
    index('providers_owner').on(t.ownerId, t.id),
    index('providers_online').on(t.id).where(sql`${t.state} = 'online'`),
  ],
);
