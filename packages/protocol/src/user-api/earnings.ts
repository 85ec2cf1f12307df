import { z } from 'zod';
import { pageOf, pageQuery, timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { jobId, leaseId, payoutId, providerId, userId } from '../ids.ts';
import { microsString, positiveMicrosString } from '../money.ts';
import { payoutMethod, payoutSchedule, payoutState } from '../payout-state.ts';

// What an owner's machines have earned, and how it is paid out.

/** Why nothing is paid out just now. */
export const payoutObstacles = [
  'not-configured',
  'account-missing',
  'account-incomplete',
  'under-way',
  'below-minimum',
] as const;
export const payoutObstacle = z.enum(payoutObstacles).meta({ id: 'PayoutObstacle' });
export type PayoutObstacle = z.infer<typeof payoutObstacle>;

/** Where an owner's money goes. What Stripe knows of a person or a bank account is never here. */
export const payoutAccount = z
  .object({
    configured: z
      .boolean()
      .describe('False where the market has no payment provider: its operator pays out by other means.'),
    state: z
      .enum(['none', 'incomplete', 'ready', 'restricted'])
      .describe('`restricted`: it was ready, and the payment provider wants to know more.'),
    takes_transfers: z.boolean(),
    pays_out: z.boolean().describe('What arrives there goes on to the bank.'),
    missing: z.array(z.string()).describe('What the payment provider wants to know, in its words.'),
    disabled_reason: z.string().nullable(),
    bank_failure: z.string().nullable().describe('Why the bank did not take the last payment.'),
    schedule: payoutSchedule,
    minimum_micros: microsString.describe('Less than this is not paid out by itself.'),
    least_minimum_micros: microsString.describe("The operator's: a minimum may not be lower."),
    next_payout_at: timestamp.nullable().describe('Null with `manual`, or without an account.'),
  })
  .meta({ id: 'PayoutAccount' });
export type PayoutAccountView = z.infer<typeof payoutAccount>;

export const payout = z
  .object({
    id: payoutId,
    user: z
      .object({ id: userId, email: z.string() })
      .nullable()
      .describe('Whom it was paid to; null but for the operator.'),
    method: payoutMethod,
    state: payoutState,
    amount_micros: microsString,
    returned_micros: microsString.describe('What of it came back after it was sent.'),
    reference: z.string().nullable().describe('How the operator paid it, in their words.'),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
    created_at: timestamp,
    sent_at: timestamp.nullable(),
    settled_at: timestamp.nullable().describe('Since when it is paid, failed or reversed.'),
  })
  .meta({ id: 'Payout' });
export type PayoutView = z.infer<typeof payout>;

export const earnings = z
  .object({
    currency: z.string(),
    play_money: z.boolean(),
    held_micros: microsString.describe('Earned, and kept until the hold window is over.'),
    payable_micros: microsString.describe('May be paid out; what is frozen is not part of it.'),
    frozen_micros: microsString.describe('Of contested jobs: kept until that is decided.'),
    in_transit_micros: microsString.describe('On its way.'),
    owed_micros: microsString.describe('Taken back after it was paid out: later earnings pay it first.'),
    paid_micros: microsString.describe('Paid out so far.'),
    earned_today_micros: microsString.describe(
      'Since 00:00 UTC, after fees; what was taken back is subtracted.',
    ),
    earned_7d_micros: microsString,
    earned_30d_micros: microsString,
    by_day: z
      .array(
        z.object({
          day: z.iso.date(),
          provider_id: providerId,
          machine: z.string(),
          earned_micros: microsString.describe('After fees; what was taken back is subtracted from its day.'),
        }),
      )
      .describe('The last 30 days (UTC), oldest first; days without earnings are left out.'),
    hold: z.object({
      window_seconds: z.number().describe('Earnings are kept so long.'),
      first_jobs: z.number().int().describe('Nothing is released before so many jobs are settled.'),
      settled_jobs: z.number().int().describe('How many are, at most `first_jobs`.'),
      next_release_at: timestamp
        .nullable()
        .describe('When the oldest earnings that are kept may be paid out.'),
    }),
    obstacle: payoutObstacle.nullable().describe('Why nothing can be paid out now; null when it can.'),
    account: payoutAccount,
  })
  .meta({ id: 'Earnings' });
export type Earnings = z.infer<typeof earnings>;

export const statementPeriod = z
  .string()
  .regex(
    /^(20\d\d)-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?$/,
    'must be a month such as 2026-11, or a day such as 2026-11-23',
  )
  .refine((text) => text.length === 7 || !Number.isNaN(dayOf(text)), 'must be a day of the calendar');

/** Milliseconds; NaN for a day that no month has. */
function dayOf(text: string): number {
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text) ? at.getTime() : Number.NaN;
}

export const earningsStatement = z
  .object({
    user: z.object({ id: userId, email: z.string() }),
    period: z.string(),
    from: timestamp,
    until: timestamp.describe('Not part of it.'),
    currency: z.string(),
    opening_micros: microsString.describe(
      'What the market owed the owner then: held, payable, on its way, less debts.',
    ),
    closing_micros: microsString.describe('Opening + net − paid out + returned, to the micro.'),
    lines: z.array(
      z.object({
        at: timestamp.describe('When it was first booked in this period.'),
        job_id: jobId,
        lease_id: leaseId,
        provider_id: providerId,
        machine: z.string(),
        gross_micros: microsString.describe('What the renter paid.'),
        fee_micros: microsString.describe("The market's part of it."),
        refund_micros: microsString.describe('Taken back, because the machine was to blame.'),
        net_micros: microsString.describe('Gross − fee − refund.'),
      }),
    ),
    payouts: z.array(
      z.object({
        at: timestamp,
        payout_id: payoutId,
        method: payoutMethod,
        reference: z.string().nullable(),
        kind: z.enum(['paid', 'returned']),
        amount_micros: microsString,
      }),
    ),
    totals: z.object({
      gross_micros: microsString,
      fee_micros: microsString,
      refund_micros: microsString,
      net_micros: microsString,
      paid_micros: microsString,
      returned_micros: microsString,
    }),
    closing: z
      .object({
        held_micros: microsString,
        payable_micros: microsString,
        in_transit_micros: microsString,
        owed_micros: microsString,
      })
      .describe('What the closing balance consists of: held + payable + on its way − owed.'),
  })
  .meta({ id: 'EarningsStatement' });
export type EarningsStatement = z.infer<typeof earningsStatement>;

const stripeErrors = ['payout/not-configured', 'stripe/unavailable', 'stripe/refused'] as const;
const keyErrors = ['request/idempotency-key-missing', 'request/idempotency-key-reused'] as const;
const wholeCents = positiveMicrosString.refine(
  (text) => BigInt(text) > 0n && BigInt(text) % 10_000n === 0n,
  'must be whole cents above zero',
);

export const getEarnings = defineContract({
  id: 'getEarnings',
  method: 'GET',
  path: '/v1/earnings',
  summary: 'What your machines have earned, and where it is',
  audience: 'user',
  reply: earnings,
  status: 200,
  errors: [],
});

export const getStatement = defineContract({
  id: 'getStatement',
  method: 'GET',
  path: '/v1/earnings/statement',
  summary: 'All that was earned, taken back and paid out in a month or on a day (UTC), equal to the ledger',
  audience: 'user',
  query: z.strictObject({ period: statementPeriod }),
  reply: earningsStatement,
  status: 200,
  errors: ['earnings/statement-too-long'],
});

export const getPayoutAccount = defineContract({
  id: 'getPayoutAccount',
  method: 'GET',
  path: '/v1/payout-account',
  summary: 'Where your earnings go, and when',
  audience: 'user',
  reply: payoutAccount,
  status: 200,
  errors: [],
});

export const setUpPayouts = defineContract({
  id: 'setUpPayouts',
  method: 'POST',
  path: '/v1/payout-account/onboarding',
  summary: "The payment provider's page on which you say who you are and where your money goes",
  audience: 'user',
  body: z.strictObject({
    country: z
      .string()
      .regex(/^[A-Z]{2}$/, 'must be two capital letters such as US')
      .default('US')
      .describe('Where you live; counts the first time.'),
  }),
  reply: z.object({ url: z.string().describe('Good for some minutes. Leads back to the dashboard.') }),
  status: 201,
  errors: [...stripeErrors],
});

export const changePayoutAccount = defineContract({
  id: 'changePayoutAccount',
  method: 'PATCH',
  path: '/v1/payout-account',
  summary: 'When and from which amount on your earnings are paid out by themselves',
  audience: 'user',
  body: z.strictObject({
    schedule: payoutSchedule.optional(),
    minimum_micros: wholeCents.optional(),
  }),
  reply: payoutAccount,
  status: 200,
  errors: ['payout/below-minimum'],
});

export const requestPayout = defineContract({
  id: 'requestPayout',
  method: 'POST',
  path: '/v1/payouts',
  summary: 'Have paid out now what may be',
  audience: 'user',
  body: z.strictObject({
    amount_micros: wholeCents.nullable().default(null).describe('Null is all, in whole cents.'),
  }),
  reply: payout,
  status: 201,
  idempotent: true,
  errors: [
    'payout/not-configured',
    'payout/account-incomplete',
    'payout/below-minimum',
    'payout/not-enough',
    'payout/under-way',
    ...keyErrors,
  ],
});

export const listPayouts = defineContract({
  id: 'listPayouts',
  method: 'GET',
  path: '/v1/payouts',
  summary: 'Payouts, newest first: to you, or to everybody',
  audience: 'user',
  query: z.strictObject({
    ...pageQuery,
    as: z.enum(['owner', 'operator']).default('owner').describe('To you, or all (the operator alone).'),
    state: payoutState.optional(),
  }),
  reply: pageOf(payout),
  status: 200,
  errors: ['auth/forbidden'],
});

export const getPayout = defineContract({
  id: 'getPayout',
  method: 'GET',
  path: '/v1/payouts/{payout}',
  summary: 'One payout to you; for the operator, any',
  audience: 'user',
  params: z.strictObject({ payout: payoutId }),
  reply: payout,
  status: 200,
  errors: ['payout/not-found'],
});

/** What the market owes an owner, for the operator. */
export const owedToOwner = z
  .object({
    user: z.object({ id: userId, email: z.string() }),
    held_micros: microsString,
    payable_micros: microsString,
    frozen_micros: microsString,
    in_transit_micros: microsString,
    owed_micros: microsString,
    account_state: payoutAccount.shape.state,
  })
  .meta({ id: 'OwedToOwner' });
export type OwedToOwner = z.infer<typeof owedToOwner>;

export const listOwed = defineContract({
  id: 'listOwed',
  method: 'GET',
  path: '/v1/admin/earnings',
  summary: 'What the market owes its owners; the operator alone',
  audience: 'user',
  query: z.strictObject(pageQuery),
  reply: pageOf(owedToOwner),
  status: 200,
  errors: ['auth/forbidden'],
});

export const recordPayout = defineContract({
  id: 'recordPayout',
  method: 'POST',
  path: '/v1/admin/payouts',
  summary: 'Write down a payout that the operator has made by other means',
  audience: 'user',
  body: z.strictObject({
    to: z.union([userId, z.email()]).describe('Id or email of the owner.'),
    amount_micros: positiveMicrosString.refine((text) => BigInt(text) > 0n, 'must be above zero'),
    reference: z.string().trim().min(1).max(500).describe('How it was paid; the owner reads it.'),
  }),
  reply: payout,
  status: 201,
  idempotent: true,
  errors: ['auth/forbidden', 'payout/not-enough', 'payout/owner-not-found', ...keyErrors],
});

export const correctPayout = defineContract({
  id: 'correctPayout',
  method: 'POST',
  path: '/v1/admin/payouts/{payout}/correction',
  summary: 'Take a payout back that was written down by mistake: a new transfer undoes it',
  audience: 'user',
  params: z.strictObject({ payout: payoutId }),
  body: z.strictObject({ reason: z.string().trim().min(1).max(500).describe('The owner reads it.') }),
  reply: payout,
  status: 200,
  errors: ['auth/forbidden', 'payout/not-found', 'payout/not-manual', 'payout/corrected'],
});
