import { type EndReason, endReasonCodes } from '@computefabric/protocol/end-reason';
import type {
  ApiKeyId,
  CheckpointId,
  GroupId,
  JobId,
  LeaseId,
  ScheduleId,
  UserId,
} from '@computefabric/protocol/ids';
import { costLimitActions } from '@computefabric/protocol/cost-limit';
import { jobClasses } from '@computefabric/protocol/job-class';
import { jobStates } from '@computefabric/protocol/job-state';
import { networkModes } from '@computefabric/protocol/network';
import { trustTiers } from '@computefabric/protocol/trust-tier';
import { type CheckpointTerms, keepOnReturns } from '@computefabric/protocol/user-api/run-terms';
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
import { jsonValue, micros, moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/** What a renter asked for. The rows in state `queued`, ordered by `queuedAt`, are the queue. */
export const jobs = pgTable(
  'jobs',
  {
    id: text().$type<JobId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    name: text().notNull(),
    state: text({ enum: jobStates }).notNull().default('queued'),
    image: text().notNull(),
    /** A string runs in a shell, a list is an argument vector, null is the image's own command. */
    command: jsonValue<string | string[]>(),
    env: jsonb().$type<Record<string, string>>().notNull(),
    gpus: integer().notNull(),
    gpuModels: text().array().notNull(),
    /** Share of the GPU, thousandths; below 1000 only with one GPU. */
    gpuMilli: integer().notNull().default(1_000),
    minVramMib: integer().notNull(),
    maxVramMib: integer(),
    /** Versions as people write them, such as `8.9`, `535.104` and `12.2`. */
    minComputeCapability: text(),
    minDriver: text(),
    minCuda: text(),
    cpuMilli: integer().notNull(),
    memoryMib: integer().notNull(),
    diskMib: integer().notNull().default(0),
    regions: text()
      .array()
      .notNull()
      .$defaultFn(() => []),
    /** Thousandths of tries that a machine brought to their end. */
    minReliabilityMilli: integer().notNull().default(0),
    minTier: text({ enum: trustTiers }).notNull().default('community'),
    /** What the program may reach; jobs of before networks had none. */
    networkMode: text({ enum: networkModes }).notNull().default('none'),
    /** With `allowlist`: the servers, as the job names them. */
    networkAllow: text()
      .array()
      .notNull()
      .$default(() => []),
    class: text({ enum: jobClasses }).notNull().default('on-demand'),
    priority: integer().notNull().default(50),
    /** Tries after the program's own failure: how many, only after these exit codes, never after those. */
    maxRetries: integer().notNull().default(0),
    retryOnExitCodes: integer().array(),
    neverRetryOnExitCodes: integer().array().notNull().default([]),
    /** How long its machine may be silent; null is the lease time. */
    lostAfterSeconds: integer(),
    /** A machine that is cut off for this long stops the program by itself. */
    stopAfterSeconds: integer(),
    replaceWhenLost: boolean().notNull().default(true),
    keepOnReturn: text({ enum: keepOnReturns }).notNull().default('replacement'),
    checkpoint: jsonb().$type<CheckpointTerms>(),
    stopGraceSeconds: integer().notNull().default(10),
    /** The array or gang that it belongs to, its place there from 0, and its variables. */
    groupId: text().$type<GroupId>(),
    groupIndex: integer(),
    groupVars: jsonb().$type<Record<string, string>>(),
    scheduleId: text().$type<ScheduleId>(),
    /** The job that money has stopped and that this one goes on from. */
    resumesId: text().$type<JobId>(),
    /** The state that the next try begins with. */
    checkpointId: text().$type<CheckpointId>(),
    timeLimitSeconds: integer().notNull(),
    /** Of that limit, ms that earlier tries have used and were billed for: what their checkpoints have saved. */
    usedMs: bigint({ mode: 'number' }).notNull().default(0),
    queueTimeoutSeconds: integer(),
    /** Per GPU-hour, or per core-hour when `gpus` is 0. */
    maxPricePerHourMicros: micros().notNull(),
    /** Its own limit, whatever prices and time would allow; null is none. */
    maxCostMicros: micros(),
    onCostLimit: text({ enum: costLimitActions }).notNull().default('checkpoint'),
    /** The key that submitted it, for the budgets of keys; null for a schedule. */
    apiKeyId: text().$type<ApiKeyId>(),
    /** Since when a budget that is used up keeps it from being queued. */
    budgetHeldAt: moment(),
    /** The most it may cost: what was reserved at submit. */
    holdMicros: micros().notNull(),
    /** Tries so far, offers that were refused among them: the number of the latest lease. */
    attempts: integer().notNull().default(0),
    /** Tries that ended by the program's own fault, of the `retries.max` that it may spend. */
    userFailures: integer().notNull().default(0),
    /** The try that is open now; null while queued and after the end. */
    leaseId: text().$type<LeaseId>(),
    cancelRequestedAt: moment(),
    endReason: text({ enum: endReasonCodes }).$type<EndReason>(),
    endDetail: text(),
    exitCode: integer(),
    /** Number of the last event. */
    eventSeq: integer().notNull().default(0),
    createdAt: moment().notNull().defaultNow(),
    /** Since when it waits: set again by a requeue, so the matcher may order by it. */
    queuedAt: moment().notNull().defaultNow(),
    /** Not offered again before this moment: the back-off after a failed try. */
    notBefore: moment(),
    startedAt: moment(),
    finishedAt: moment(),
  },
  (t) => [
    check('jobs_state', oneOf(t.state, jobStates)),
    check('jobs_hold', sql`${t.holdMicros} >= 0 and ${t.maxPricePerHourMicros} >= 0`),
    check('jobs_class', oneOf(t.class, jobClasses)),
    check('jobs_cost_limit', sql`${t.maxCostMicros} > 0 and ${oneOf(t.onCostLimit, costLimitActions)}`),
    check('jobs_keep', oneOf(t.keepOnReturn, keepOnReturns)),
    check('jobs_tier', oneOf(t.minTier, trustTiers)),
    check('jobs_share', sql`${t.gpuMilli} between 1 and 1000 and (${t.gpuMilli} = 1000 or ${t.gpus} = 1)`),
    check('jobs_end', sql`(${t.finishedAt} is null) = (${t.endReason} is null)`),
    uniqueIndex('jobs_user_name').on(t.userId, t.name),
    index('jobs_queue').on(t.queuedAt, t.id).where(sql`${t.state} = 'queued'`),
    index('jobs_group').on(t.groupId, t.groupIndex).where(sql`${t.groupId} is not null`),
    // Counts of a group's states and the next blocked member come from this index alone.
    index('jobs_group_state').on(t.groupId, t.state, t.groupIndex).where(sql`${t.groupId} is not null`),
    uniqueIndex('jobs_resumes').on(t.resumesId).where(sql`${t.resumesId} is not null`),
    index('jobs_held_by_budget').on(t.userId).where(sql`${t.budgetHeldAt} is not null`),
    index('jobs_user').on(t.userId, t.id.desc()),
    // Few jobs set a time in which they must start; a million that do not are not looked at for it.
    index('jobs_queue_timeout')
      .on(t.queuedAt)
      .where(sql`${t.state} = 'queued' and ${t.queueTimeoutSeconds} is not null`),
  ],
);
