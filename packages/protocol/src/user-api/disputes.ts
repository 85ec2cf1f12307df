import { z } from 'zod';
import { pageOf, pageQuery, timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { disputeBlame, disputeOutcome, disputeReason, disputeState } from '../dispute.ts';
import { disputeId, jobId, providerId } from '../ids.ts';
import { microsString, positiveMicrosString } from '../money.ts';
import { jobRef } from './jobs.ts';

const words = (most: number) => z.string().trim().min(1).max(most);

/** A contested job, as each side sees it. */
export const disputeView = z
  .object({
    id: disputeId,
    job_id: jobId,
    job_name: z.string(),
    state: disputeState,
    reason: disputeReason,
    message: z.string().nullable().describe("The renter's words; null for the owner of the machine."),
    refund_micros: microsString.describe('Given back to the renter.'),
    machines: z.array(providerId).describe('Machines whose tries were billed.'),
    created_at: timestamp,
    decided_at: timestamp.nullable(),
    decisions: z.array(
      z.object({
        outcome: disputeOutcome,
        blame: disputeBlame.describe('Who pays what is given back.'),
        rule: z.string().nullable().describe('The rule that decided; null when the operator did.'),
        explanation: z.string(),
        refund_micros: microsString,
        at: timestamp,
      }),
    ),
    evidence: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe('What the market’s own records said; null for the owner of the machine.'),
  })
  .meta({ id: 'Dispute' });
export type DisputeView = z.infer<typeof disputeView>;

export const openDispute = defineContract({
  id: 'openDispute',
  method: 'POST',
  path: '/v1/jobs/{job}/dispute',
  summary: 'Contest a job that has ended',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  body: z.strictObject({ reason: disputeReason, message: words(4_000) }),
  reply: disputeView,
  status: 201,
  idempotent: true,
  errors: [
    'job/not-found',
    'dispute/not-settled',
    'dispute/nothing-billed',
    'dispute/too-late',
    'dispute/exists',
    'request/idempotency-key-missing',
    'request/idempotency-key-reused',
  ],
});

export const listDisputes = defineContract({
  id: 'listDisputes',
  method: 'GET',
  path: '/v1/disputes',
  summary: 'Contested jobs, newest first: yours, or about your machines',
  audience: 'user',
  query: z.strictObject({
    ...pageQuery,
    as: z
      .enum(['renter', 'owner', 'operator'])
      .default('renter')
      .describe('Of your jobs, about your machines, or all (the operator alone).'),
    state: disputeState.optional(),
  }),
  reply: pageOf(disputeView),
  status: 200,
  errors: ['auth/forbidden'],
});

export const decideDispute = defineContract({
  id: 'decideDispute',
  method: 'POST',
  path: '/v1/admin/disputes/{dispute}/decision',
  summary: 'Decide about a contested job',
  audience: 'user',
  params: z.strictObject({ dispute: disputeId }),
  body: z
    .strictObject({
      outcome: disputeOutcome,
      explanation: words(4_000).describe('Both sides read it.'),
      blame: disputeBlame.default('provider'),
      refund_micros: positiveMicrosString
        .nullable()
        .default(null)
        .describe('Less than all that the job cost; null is all.'),
    })
    .refine((decision) => decision.outcome === 'granted' || decision.refund_micros === null, {
      path: ['refund_micros'],
      message: 'must be null where nothing is given back',
    }),
  reply: disputeView,
  status: 200,
  errors: ['auth/forbidden', 'dispute/not-found', 'dispute/decided'],
});
