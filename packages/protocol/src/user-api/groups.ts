import { z } from 'zod';
import { pageOf, pageQuery, timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { endReason } from '../end-reason.ts';
import { groupKind, groupState } from '../group-kind.ts';
import { groupId, jobId } from '../ids.ts';
import { jobState } from '../job-state.ts';
import { microsString } from '../money.ts';
import { jobSpec } from './job-spec.ts';
import { arrayShape, machinesShape } from './shapes.ts';

/** An id, or a group's name in your account. */
export const groupRef = z.string().min(1).max(128).describe('Group id or name.');

export const groupSpec = z
  .strictObject({
    spec: jobSpec.describe('What each member runs; its name is the name of the group.'),
    array: arrayShape.optional(),
    machines: machinesShape.optional(),
  })
  .refine((group) => (group.array === undefined) !== (group.machines === undefined), {
    message: 'must have either array or machines',
  })
  .refine((group) => group.machines === undefined || group.spec.retries.max === 0, {
    path: ['spec', 'retries', 'max'],
    message: 'must be 0 with machines: a program that failed ends all of them',
  })
  .refine((group) => sharedNames(group).length === 0, {
    path: ['array', 'matrix'],
    message: 'must not name a variable that env has too',
  })
  .refine(
    (group) =>
      jobSpec.shape.env.safeParse({
        ...group.spec.env,
        ...Object.fromEntries(Object.keys(group.array?.matrix ?? {}).map((name) => [name, ''])),
      }).success,
    {
      path: ['array', 'matrix'],
      message: `must be variables that a job may set, with those of env not too many`,
    },
  )
  .meta({ id: 'GroupSpec' });
export type GroupSpec = z.output<typeof groupSpec>;
/** A group spec before defaults are filled in. */
export type GroupSpecInput = z.input<typeof groupSpec>;

function sharedNames(group: { spec: { env: object }; array?: { matrix?: object | undefined } | undefined }) {
  return Object.keys(group.array?.matrix ?? {}).filter((name) => Object.hasOwn(group.spec.env, name));
}

/** How many members are in each state. */
const stateCounts = z.object(
  Object.fromEntries(jobState.options.map((state) => [state, z.number().int()])) as Record<
    z.infer<typeof jobState>,
    z.ZodNumber
  >,
);

/** One bill: what all members have cost, and what is reserved for those that have not ended. */
export const groupCost = z
  .object({
    currency: z.string(),
    play_money: z.boolean(),
    hold_micros: microsString.describe('The most that all members together may cost.'),
    accrued_micros: microsString.describe('Cost of all members so far.'),
    billed_ms: z.number().int(),
    unsettled: z.number().int().describe('Members whose payment is not settled yet.'),
    as_of: timestamp,
  })
  .meta({ id: 'GroupCost' });

export const groupSummary = z
  .object({
    id: groupId,
    name: z.string(),
    kind: groupKind,
    state: groupState,
    size: z.number().int().describe('Members.'),
    max_parallel: z.number().int().nullable(),
    counts: stateCounts,
    created_at: timestamp,
    cancel_requested_at: timestamp.nullable(),
  })
  .meta({ id: 'GroupSummary' });
export type GroupSummary = z.infer<typeof groupSummary>;

export const groupView = z
  .object({
    ...groupSummary.shape,
    image: z.string(),
    finished_at: timestamp.nullable().describe('When the last member ended.'),
    cost: groupCost,
    waits_for: z.array(z.string()).describe('What it comes after and what has not ended yet, as sentences.'),
    failures: z
      .array(
        z.object({
          index: z.number().int(),
          job_id: jobId,
          name: z.string(),
          state: jobState,
          end_reason: endReason.nullable(),
          exit_code: z.number().int().nullable(),
        }),
      )
      .describe('The first members that ended without success, by index; at most 20.'),
    dashboard_url: z.string().nullable(),
  })
  .meta({ id: 'Group' });
export type GroupView = z.infer<typeof groupView>;

export const createGroup = defineContract({
  id: 'createGroup',
  method: 'POST',
  path: '/v1/groups',
  summary: 'Submit an array, a sweep or a job on several machines',
  audience: 'user',
  body: groupSpec,
  reply: groupView,
  status: 201,
  idempotent: true,
  errors: [
    'ledger/insufficient-funds',
    'job/name-taken',
    'request/idempotency-key-missing',
    'request/idempotency-key-reused',
  ],
});

export const listGroups = defineContract({
  id: 'listGroups',
  method: 'GET',
  path: '/v1/groups',
  summary: 'Your arrays and gangs, newest first',
  audience: 'user',
  query: z.strictObject({ ...pageQuery }),
  reply: pageOf(groupSummary),
  status: 200,
  errors: [],
});

export const getGroup = defineContract({
  id: 'getGroup',
  method: 'GET',
  path: '/v1/groups/{group}',
  summary: 'One group: progress, cost, failures',
  audience: 'user',
  params: z.strictObject({ group: groupRef }),
  reply: groupView,
  status: 200,
  errors: ['group/not-found'],
});

export const cancelGroup = defineContract({
  id: 'cancelGroup',
  method: 'POST',
  path: '/v1/groups/{group}/cancel',
  summary: 'Ask all members to stop',
  audience: 'user',
  params: z.strictObject({ group: groupRef }),
  reply: groupView,
  status: 200,
  errors: ['group/not-found', 'group/already-final'],
});
