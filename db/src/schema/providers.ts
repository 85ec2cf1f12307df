import type { ProviderId, UserId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import { networkModes } from '@computefabric/protocol/network';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import { sandboxes } from '@computefabric/protocol/protection';
import { availabilities, providerStates } from '@computefabric/protocol/provider-state';
import { trustTiers } from '@computefabric/protocol/trust-tier';
import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
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
    /** The machine's public key, DER (SPKI) in base64; null for one that joined before there were keys. */
    identityKey: text(),
    /** SHA-256 of the secret of a machine without a key, hex; empty, and so no hash, for one that has a key. */
    credentialHash: text().notNull().default(''),
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
    /** Percent of these prices that a spot job pays. */
    spotPercent: integer().notNull().default(100),
    /** The owner lets jobs share a GPU. */
    sharesGpus: boolean().notNull().default(false),
    /** Most that the owner gives a job to end by itself when the machine is taken back. */
    moveGraceSeconds: integer().notNull().default(limits.stopGraceSeconds.max),
    /** The owner's or operator's word for the place; empty when nobody gave one. */
    region: text().notNull().default(''),
    /** Newest CUDA version that the driver supports; null where it has none or does not tell. */
    cudaVersion: text(),
    /** What jobs may reach from it, and why not more. */
    networks: text({ enum: networkModes }).array().notNull().default(['none']),
    networkNote: text().notNull().default(''),
    /** What a job writes has an end, and if not why. */
    diskLimited: boolean().notNull().default(false),
    diskNote: text().notNull().default(''),
    /** What runs its jobs' programs. */
    sandbox: text({ enum: sandboxes }).notNull().default('containers'),
    tier: text({ enum: trustTiers }).notNull().default('community'),
    /** Thousandths of its tries that it brought to their end; reputation.store.ts. */
    reliabilityMilli: integer().notNull().default(1_000),
    /** Images that it has already, as jobs name them. */
    cachedImages: text()
      .array()
      .notNull()
      .$defaultFn(() => []),
    /** What the owner or the operator wants of the machine; the state above is what is so. */
    availability: text({ enum: availabilities }).notNull().default('open'),
    availabilityReason: text().notNull().default(''),
    /** Open again by itself from then on; null until somebody says so. */
    availabilityUntil: moment(),
    /** Jobs that it still has then are told to stop and move. */
    vacateBy: moment(),
    /** A planned absence: jobs that may run into it are not placed, those that do are moved. */
    awayFrom: moment(),
    awayUntil: moment(),
    /** What the owner's rules on the machine said last; null when its agent does not tell. */
    ownerNotice: jsonb().$type<OwnerNotice>(),
    /** It has just not taken an offer, and is offered nothing until then; rest.store.ts. */
    restsUntil: moment(),
    lastSeenAt: moment(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('providers_state', oneOf(t.state, providerStates)),
    check('providers_availability', oneOf(t.availability, availabilities)),
    check('providers_tier', oneOf(t.tier, trustTiers)),
    check('providers_move_grace', sql`${t.moveGraceSeconds} >= 0`),
    check('providers_spot', sql`${t.spotPercent} between 1 and 100`),
    check('providers_prices', sql`${t.pricePerGpuHourMicros} >= 0 and ${t.pricePerCpuHourMicros} >= 0`),
    index('providers_owner').on(t.ownerId, t.id),
    uniqueIndex('providers_identity_key').on(t.identityKey),
    index('providers_online').on(t.id).where(sql`${t.state} = 'online'`),
  ],
);
