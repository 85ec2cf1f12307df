import { z } from 'zod';
import { pageOf, pageQuery, timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { cardRefundId, topUpId } from '../ids.ts';
import { microsString, positiveMicrosString } from '../money.ts';
import {
  billingMode,
  cardDisputeState,
  cardRefundState,
  freezeCause,
  topUpMethod,
  topUpState,
} from '../top-up-state.ts';

/** Cards are charged in whole cents; Stripe takes no less than 50 of them. */
const MICROS_PER_CENT = 10_000n;
const bounds = { least: 500_000n, most: 10_000_000_000n };

/** An amount that a card can be charged, micros. */
export const chargeMicros = positiveMicrosString
  .refine((text) => text.endsWith('0000'), 'must be whole cents: a multiple of 10000 micros')
  .refine((text) => BigInt(text) >= bounds.least, 'must be at least 0.50 USD')
  .refine((text) => BigInt(text) <= bounds.most, 'must be at most 10,000 USD');

export const card = z
  .object({
    id: z.string(),
    brand: z.string(),
    last4: z.string(),
    exp_month: z.number().int(),
    exp_year: z.number().int(),
    is_default: z.boolean().describe('Charged when nobody is there.'),
  })
  .meta({ id: 'Card' });
export type CardView = z.infer<typeof card>;

export const autoTopUp = z
  .object({
    threshold_micros: microsString.describe('Below this balance …'),
    amount_micros: microsString.describe('… the card is charged this much …'),
    monthly_ceiling_micros: microsString.describe('… and in a calendar month never more than this.'),
    failures: z.number().int().describe('Refusals in a row.'),
    paused_because: z
      .string()
      .nullable()
      .describe('Why it is switched off by itself; set it again to go on.'),
  })
  .meta({ id: 'AutoTopUp' });

export const topUp = z
  .object({
    id: topUpId,
    method: topUpMethod,
    state: topUpState,
    amount_micros: microsString,
    url: z
      .string()
      .nullable()
      .describe('Where to pay, or to confirm the payment; null when there is nothing to do.'),
    failure: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .describe('Why the bank refused last.'),
    created_at: timestamp,
    settled_at: timestamp.nullable(),
  })
  .meta({ id: 'TopUp' });
export type TopUp = z.infer<typeof topUp>;

export const cardRefund = z
  .object({
    id: cardRefundId,
    top_up_id: topUpId,
    state: cardRefundState,
    amount_micros: microsString,
    failure: z.string().nullable(),
    created_at: timestamp,
    settled_at: timestamp.nullable(),
  })
  .meta({ id: 'CardRefund' });
export type CardRefundView = z.infer<typeof cardRefund>;

export const cardDispute = z
  .object({
    id: z.string(),
    top_up_id: topUpId,
    state: cardDisputeState,
    amount_micros: microsString,
    reason: z.string(),
    evidence_sent_at: timestamp.nullable(),
    created_at: timestamp,
    closed_at: timestamp.nullable(),
  })
  .meta({ id: 'CardDispute' });

export const billing = z
  .object({
    configured: z.boolean().describe('False where all money is play money.'),
    mode: billingMode,
    currency: z.string(),
    available_micros: microsString,
    held_micros: microsString,
    owed_micros: microsString.describe(
      'What this account owes the market, unfinished jobs on credit included.',
    ),
    disputed_micros: microsString.describe('Claimed back by a card holder and not decided.'),
    credit_limit_micros: microsString,
    frozen_by: freezeCause.nullable().describe('Why nothing can be submitted; null when it can.'),
    cards: z.array(card),
    cards_known: z
      .boolean()
      .describe('False while the payment provider does not answer: there may be cards.'),
    auto_top_up: autoTopUp.nullable(),
    unpaid: z.array(topUp).describe('Charges that wait for you: to be confirmed, or refused.'),
    disputes: z.array(cardDispute),
  })
  .meta({ id: 'Billing' });
export type Billing = z.infer<typeof billing>;

const stripeErrors = ['billing/not-configured', 'stripe/unavailable', 'stripe/refused'] as const;
const keyErrors = ['request/idempotency-key-missing', 'request/idempotency-key-reused'] as const;

export const getBilling = defineContract({
  id: 'getBilling',
  method: 'GET',
  path: '/v1/billing',
  summary: 'Your balance, cards, automatic top-up and what is open',
  audience: 'user',
  reply: billing,
  status: 200,
  errors: [],
});

export const createTopUp = defineContract({
  id: 'createTopUp',
  method: 'POST',
  path: '/v1/billing/top-ups',
  summary: 'Begin a top-up: a page to pay on, or a payment for a browser to confirm',
  audience: 'user',
  body: z.strictObject({
    amount_micros: chargeMicros,
    method: z.enum(['checkout', 'element']).default('checkout'),
    save_card: z.boolean().default(false).describe('Keeps the card for automatic top-ups.'),
  }),
  reply: z.object({
    top_up: topUp,
    client_secret: z.string().nullable().describe("For Stripe's Payment Element, with `element`."),
  }),
  status: 201,
  idempotent: true,
  errors: [...stripeErrors, ...keyErrors],
});

export const listTopUps = defineContract({
  id: 'listTopUps',
  method: 'GET',
  path: '/v1/billing/top-ups',
  summary: 'Your top-ups and charges, newest first',
  audience: 'user',
  query: z.strictObject(pageQuery),
  reply: pageOf(topUp),
  status: 200,
  errors: [],
});

export const getTopUp = defineContract({
  id: 'getTopUp',
  method: 'GET',
  path: '/v1/billing/top-ups/{topUp}',
  summary: 'One top-up',
  audience: 'user',
  params: z.strictObject({ topUp: topUpId }),
  reply: topUp,
  status: 200,
  errors: ['billing/top-up-not-found'],
});

export const addCard = defineContract({
  id: 'addCard',
  method: 'POST',
  path: '/v1/billing/cards',
  summary: 'Begin to save a card: the page to do it on',
  audience: 'user',
  body: z.strictObject({}),
  reply: z.object({ url: z.string() }),
  status: 201,
  idempotent: true,
  errors: [...stripeErrors, ...keyErrors],
});

export const removeCard = defineContract({
  id: 'removeCard',
  method: 'DELETE',
  path: '/v1/billing/cards/{card}',
  summary: 'Forget a card',
  audience: 'user',
  params: z.strictObject({ card: z.string().regex(/^\w{1,100}$/) }),
  status: 204,
  errors: [...stripeErrors, 'billing/card-not-found'],
});

export const setAutoTopUp = defineContract({
  id: 'setAutoTopUp',
  method: 'PUT',
  path: '/v1/billing/auto-top-up',
  summary: 'Top up by itself below a threshold, or no longer (null)',
  audience: 'user',
  body: z.strictObject({
    auto_top_up: z
      .strictObject({
        threshold_micros: chargeMicros,
        amount_micros: chargeMicros,
        monthly_ceiling_micros: chargeMicros,
      })
      .refine((auto) => BigInt(auto.monthly_ceiling_micros) >= BigInt(auto.amount_micros), {
        path: ['monthly_ceiling_micros'],
        message: 'must be at least one amount',
      })
      .nullable(),
  }),
  reply: z.object({ auto_top_up: autoTopUp.nullable() }),
  status: 200,
  errors: ['billing/not-configured', 'billing/card-required'],
});

export const payOwed = defineContract({
  id: 'payOwed',
  method: 'POST',
  path: '/v1/billing/pay',
  summary: 'Try again what the card was refused for',
  audience: 'user',
  body: z.strictObject({}),
  reply: z.object({ unpaid: z.array(topUp) }),
  status: 200,
  errors: ['billing/not-configured', 'billing/card-required'],
});

export const refundBalance = defineContract({
  id: 'refundBalance',
  method: 'POST',
  path: '/v1/billing/refunds',
  summary: 'Give unspent money back to the cards that it came from',
  audience: 'user',
  body: z.strictObject({
    amount_micros: positiveMicrosString
      .refine(
        (text) => BigInt(text) > 0n && BigInt(text) % MICROS_PER_CENT === 0n,
        'must be whole cents above zero',
      )
      .nullable()
      .default(null)
      .describe('Null is all that can go back.'),
  }),
  reply: z.object({ items: z.array(cardRefund) }),
  status: 201,
  idempotent: true,
  errors: [
    'billing/not-configured',
    'billing/nothing-to-refund',
    'billing/account-frozen',
    'ledger/insufficient-funds',
    ...keyErrors,
  ],
});

export const listRefunds = defineContract({
  id: 'listRefunds',
  method: 'GET',
  path: '/v1/billing/refunds',
  summary: 'Your newest refunds to cards',
  audience: 'user',
  reply: z.object({ items: z.array(cardRefund) }),
  status: 200,
  errors: [],
});
