import { type EndReason, endReasonCodes } from '@computefabric/protocol/end-reason';
import type { CheckpointId, GpuId, JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { desiredStates, leaseStates, stopReasons, taskStates } from '@computefabric/protocol/lease-state';
import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
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

/** One try of a job on one machine. */
export const leases = pgTable(
  'leases',
  {
    id: text().$type<LeaseId>().primaryKey(),
    // No foreign keys: a lease is written by a statement that has just changed its job and locked its machine,
    // neither is ever removed, and asking the parents once more costs a third of a grant (decision 0017).
    jobId: text().$type<JobId>().notNull(),
    providerId: text().$type<ProviderId>().notNull(),
    attempt: integer().notNull(),
    /** Fencing number: grows over all leases; every call of the agent must name it. */
    fence: bigserial({ mode: 'number' }).notNull(),
    state: text({ enum: leaseStates }).notNull().default('offered'),
    /** What we want; only the orchestrator writes it. */
    desired: text({ enum: desiredStates }).notNull().default('run'),
    /** When the machine was told of a desired stop. */
    desiredSeenAt: moment(),
    /** Why it should stop, and by when the machine must have: set with `desired = 'stop'`. */
    stopReason: text({ enum: stopReasons }),
    stopBy: moment(),
    /** What the machine says; only its reports write it. */
    taskState: text({ enum: taskStates }),
    progress: jsonb().$type<{ done_bytes: number; total_bytes: number | null } | null>(),
    /** Price of the whole try per hour, frozen at match. */
    pricePerHourMicros: micros().notNull(),
    gpuIds: text().array().$type<GpuId[]>().notNull(),
    /** Share of each of them, thousandths. */
    gpuMilli: integer().notNull().default(1_000),
    cpuMilli: integer().notNull(),
    memoryMib: integer().notNull(),
    diskMib: integer().notNull().default(0),
    /** May be told to give way to an on-demand job. */
    spot: boolean().notNull().default(false),
    offeredAt: moment().notNull().defaultNow(),
    /** Offered: answer by then. Active and releasing: heartbeat by then. Database clock. */
    expiresAt: moment().notNull(),
    acceptedAt: moment(),
    /** The meter runs from here … */
    startedAt: moment(),
    /** … to here: the moments at which the orchestrator accepted the reports. */
    exitedAt: moment(),
    /** Since when the machine is silent beyond what the job allows; null while it is heard of. */
    silentAt: moment(),
    /** Milliseconds of earlier silences of this kind: never billed. */
    silentMs: bigint({ mode: 'number' }).notNull().default(0),
    endedAt: moment(),
    releasedAt: moment(),
    endReason: text({ enum: endReasonCodes }).$type<EndReason>(),
    endDetail: text(),
    exitCode: integer(),
    imageDigest: text(),
    /** The checkpoint that it began with; null when it began anew. */
    resumedFrom: text().$type<CheckpointId>(),
    /** Chunks 0 … nextLogSeq − 1 are stored. */
    nextLogSeq: integer().notNull().default(0),
    logBytes: bigint({ mode: 'number' }).notNull().default(0),
    /** When its job's money is used up but for the grace time; null without a limit or once it was told to stop. */
    moneyStopAt: moment(),
    /** Metered and paid for; 0 unless the end reason is billable. */
    billedMs: bigint({ mode: 'number' }).notNull().default(0),
    costMicros: micros().notNull().default(sql`'0'`),
    /** The owner's part of the cost. */
    earnedMicros: micros().notNull().default(sql`'0'`),
  },
  (t) => [
    check('leases_state', oneOf(t.state, leaseStates)),
    check('leases_desired', oneOf(t.desired, desiredStates)),
    check('leases_cost', sql`${t.costMicros} >= 0 and ${t.earnedMicros} between 0 and ${t.costMicros}`),
    // At most one try of a job is under way, whatever the code above believes.
    uniqueIndex('leases_one_open').on(t.jobId).where(sql`${t.state} in ('offered', 'active')`),
    uniqueIndex('leases_job_attempt').on(t.jobId, t.attempt),
    index('leases_open_by_provider')
      .on(t.providerId)
      .where(sql`${t.state} in ('offered', 'active', 'releasing')`),
    index('leases_expiry')
      .on(t.expiresAt)
      .where(sql`${t.state} in ('offered', 'active', 'silent', 'releasing')`),
    index('leases_money_stop').on(t.moneyStopAt).where(sql`${t.moneyStopAt} is not null`),
    index('leases_provider').on(t.providerId, t.id),
  ],
);
