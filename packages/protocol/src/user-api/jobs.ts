import { z } from 'zod';
import { pageOf, pageQuery, timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { costLimitAction } from '../cost-limit.ts';
import { endReason } from '../end-reason.ts';
import { groupKind } from '../group-kind.ts';
import { gpuId, groupId, jobId, leaseId, providerId, quoteId, scheduleId } from '../ids.ts';
import { jobClass } from '../job-class.ts';
import { jobState } from '../job-state.ts';
import { leaseState, taskState } from '../lease-state.ts';
import { microsString, positiveMicrosString } from '../money.ts';
import { jobNetwork } from '../network.ts';
import { paymentState } from '../payment-state.ts';
import { jobSpec } from './job-spec.ts';
import { requirements } from './requirements.ts';
import { registryLoginHeader } from '../registry-login.ts';
import { checkpoint, disconnect, retries } from './run-terms.ts';
import { waiting } from './quotes.ts';

/** An id, or a job's name in your account. */
export const jobRef = z.string().min(1).max(128).describe('Job id or name.');

/**
 * Money of a job at the moment `as_of`. While `billable`, the true cost grows by `rate_per_hour_micros`;
 * a client may interpolate between two answers.
 */
export const jobCost = z
  .object({
    currency: z.string(),
    play_money: z.boolean().describe('True where no payment provider is configured: nobody is charged.'),
    hold_micros: microsString.describe('The most this job may cost; reserved at submit.'),
    accrued_micros: microsString.describe('Cost so far; the final cost once the job has ended.'),
    billed_ms: z.number().int().describe('Metered milliseconds of running that are paid for.'),
    rate_per_hour_micros: microsString.nullable().describe('Price of the current try, frozen at match.'),
    billable: z.boolean(),
    as_of: timestamp,
    payment_state: paymentState,
  })
  .meta({ id: 'JobCost' });

/** One try of the job on one machine. */
export const leaseView = z
  .object({
    id: leaseId,
    attempt: z.number().int(),
    state: leaseState,
    task_state: taskState.nullable().describe('What the machine says it is doing.'),
    progress: z
      .object({ done_bytes: z.number(), total_bytes: z.number().nullable() })
      .nullable()
      .describe('Of the image pull.'),
    provider: z.object({ id: providerId, name: z.string() }),
    gpus: z.array(z.object({ id: gpuId, name: z.string(), simulated: z.boolean() })),
    price_per_hour_micros: microsString.describe('For the whole try, all its GPUs together.'),
    offered_at: timestamp,
    accepted_at: timestamp.nullable(),
    started_at: timestamp.nullable(),
    exited_at: timestamp.nullable(),
    ended_at: timestamp.nullable(),
    end_reason: endReason.nullable(),
    end_detail: z.string().nullable().describe('What the machine said beside the reason.'),
    exit_code: z.number().int().nullable(),
    image_digest: z.string().nullable(),
    billed_ms: z.number().int(),
    cost_micros: microsString,
  })
  .meta({ id: 'Lease' });
export type LeaseView = z.infer<typeof leaseView>;

/** The array or gang that a job is a member of. */
export const jobGroupPlace = z
  .object({
    id: groupId,
    name: z.string(),
    kind: groupKind,
    size: z.number().int(),
    index: z.number().int().describe('From 0; in a gang the rank.'),
    variables: z.record(z.string(), z.string()).describe('Its values of the matrix.'),
  })
  .meta({ id: 'JobGroupPlace' });

/** What a job comes after. */
export const jobDependency = z
  .object({
    id: z.union([jobId, groupId]),
    name: z.string(),
    when: z.enum(['success', 'any', 'failure']),
    state: z.enum(['open', 'met', 'failed']),
  })
  .meta({ id: 'JobDependency' });

/** The job that one goes on from, or the one that went on from it. */
export const jobLink = z.object({ id: jobId, name: z.string() }).meta({ id: 'JobLink' });

const jobCore = {
  id: jobId,
  name: z.string(),
  state: jobState,
  image: z.string(),
  command: z.union([z.string(), z.array(z.string())]).nullable(),
  requirements,
  time_limit_seconds: z.number().int(),
  created_at: timestamp,
  started_at: timestamp.nullable().describe('First start of the program.'),
  finished_at: timestamp.nullable(),
  end_reason: endReason.nullable(),
  end_message: z.string().nullable(),
  exit_code: z.number().int().nullable(),
  attempts: z.number().int().describe('Tries so far.'),
  cost_micros: microsString.describe('Same as cost.accrued_micros.'),
  cost: jobCost,
  group: jobGroupPlace.nullable().default(null),
};

export const jobSummary = z.object(jobCore).meta({ id: 'JobSummary' });
export type JobSummary = z.infer<typeof jobSummary>;

export const jobView = z
  .object({
    ...jobCore,
    env: z.record(z.string(), z.string()),
    queue_timeout_seconds: z.number().int().nullable(),
    class: jobClass,
    priority: z.number().int(),
    retries,
    user_failures: z.number().int().describe("Tries that the program's own failure ended."),
    disconnect,
    checkpoint: checkpoint.nullable(),
    network: jobNetwork,
    stop_grace_seconds: z.number().int(),
    max_cost_micros: microsString.nullable().describe('Its own limit; null is none.'),
    on_limit: costLimitAction,
    max_price_per_hour_micros: microsString,
    cancel_requested_at: timestamp.nullable(),
    leases: z.array(leaseView).describe('All tries, oldest first.'),
    waiting: waiting.nullable().describe('Why it waits; null unless queued.'),
    after: z.array(jobDependency).default([]).describe('What it comes after, in its group also.'),
    waits_for: z
      .array(z.string())
      .default([])
      .describe('Why it is blocked, as sentences; empty in every other state.'),
    schedule_id: scheduleId.nullable().default(null).describe('The schedule that submitted it.'),
    resumes: jobLink.nullable().default(null).describe('The job that it goes on from.'),
    resumed_by: jobLink.nullable().default(null).describe('The job that goes on from it.'),
    resumable: z
      .boolean()
      .default(false)
      .describe('Whether money stopped it and it can go on: POST /v1/jobs/{job}/resume.'),
    dashboard_url: z.string().nullable(),
  })
  .meta({ id: 'Job' });
export type JobView = z.infer<typeof jobView>;

/** Something that happened to a job, for people and programs. `seq` counts from 1 within the job. */
export const jobEvent = z
  .object({
    seq: z.number().int(),
    at: timestamp,
    type: z
      .string()
      .describe('Such as submitted, matched, accepted, pulling, started, exited, requeued, ended.'),
    message: z.string(),
    state: jobState.describe('State after the event.'),
    lease_id: leaseId.nullable(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'JobEvent' });
export type JobEvent = z.infer<typeof jobEvent>;

export const createJob = defineContract({
  id: 'createJob',
  method: 'POST',
  path: '/v1/jobs',
  summary: 'Submit a job',
  audience: 'user',
  query: z.strictObject({
    quote: quoteId
      .optional()
      .describe('The quote that it is submitted with: its estimate comes onto the receipt.'),
  }),
  headers: z.object({
    [registryLoginHeader]: z
      .string()
      .max(8_192)
      .optional()
      .describe(
        'For a private image: {"username", "password"} as JSON in base64url. Kept sealed until the job ends.',
      ),
  }),
  body: jobSpec,
  reply: jobView,
  status: 201,
  idempotent: true,
  errors: [
    'ledger/insufficient-funds',
    'budget/exceeded',
    'job/name-taken',
    'request/idempotency-key-missing',
    'request/idempotency-key-reused',
  ],
});

export const listJobs = defineContract({
  id: 'listJobs',
  method: 'GET',
  path: '/v1/jobs',
  summary: 'Your jobs, newest first',
  audience: 'user',
  query: z.strictObject({
    ...pageQuery,
    state: z
      .string()
      .transform((text) => text.split(','))
      .pipe(z.array(jobState))
      .optional()
      .describe('One or more states, separated by commas.'),
    q: z.string().max(128).optional().describe('Part of a name, an id or an image.'),
    since: timestamp.optional().describe('Submitted at or after this moment.'),
    group: z.string().min(1).max(128).optional().describe('Only members of this group: its id or name.'),
    ungrouped: z.enum(['true']).optional().describe('Only jobs that are in no group.'),
  }),
  reply: pageOf(jobSummary),
  status: 200,
  errors: ['group/not-found'],
});

export const getJob = defineContract({
  id: 'getJob',
  method: 'GET',
  path: '/v1/jobs/{job}',
  summary: 'One job, whole',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  reply: jobView,
  status: 200,
  errors: ['job/not-found'],
});

export const cancelJob = defineContract({
  id: 'cancelJob',
  method: 'POST',
  path: '/v1/jobs/{job}/cancel',
  summary: 'Ask a job to stop',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  reply: jobView,
  status: 200,
  errors: ['job/not-found', 'job/already-final'],
});

export const resumeJob = defineContract({
  id: 'resumeJob',
  method: 'POST',
  path: '/v1/jobs/{job}/resume',
  summary: 'Let a job that money has stopped go on, as a new job that begins with its last saved state',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  body: z.strictObject({
    max_cost_micros: positiveMicrosString
      .nullable()
      .optional()
      .describe(
        'The raised limit: of all in all, what it has cost already included. null is none. May be left out where the job had no limit of its own, because a budget has stopped it.',
      ),
    on_limit: costLimitAction.optional(),
  }),
  reply: jobView,
  status: 201,
  idempotent: true,
  errors: [
    'job/not-found',
    'job/not-resumable',
    'job/already-resumed',
    'ledger/insufficient-funds',
    'budget/exceeded',
    'request/idempotency-key-missing',
    'request/idempotency-key-reused',
  ],
});

export const listJobEvents = defineContract({
  id: 'listJobEvents',
  method: 'GET',
  path: '/v1/jobs/{job}/events',
  summary: 'What happened to a job, oldest first',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  query: z.strictObject({ ...pageQuery }),
  reply: pageOf(jobEvent),
  status: 200,
  errors: ['job/not-found'],
});
