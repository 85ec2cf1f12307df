import { z } from 'zod';
import { pageOf, pageQuery, timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { apiKeyId, jobId, paymentId, userId } from '../ids.ts';
import { microsString } from '../money.ts';
import { paymentState } from '../payment-state.ts';

export const userRoles = ['member', 'operator'] as const;
export const userRole = z.enum(userRoles);
export type UserRole = z.infer<typeof userRole>;

export const balance = z
  .object({
    currency: z.string(),
    play_money: z.boolean().describe('True where no payment provider is configured: nobody is charged.'),
    available_micros: microsString,
    held_micros: microsString.describe('Reserved for unfinished jobs.'),
    earned_micros: microsString.describe("Earned by this account's machines and not paid out yet."),
  })
  .meta({ id: 'Balance' });
export type Balance = z.infer<typeof balance>;

export const whoAmI = defineContract({
  id: 'whoAmI',
  method: 'GET',
  path: '/v1/me',
  summary: 'Who this key belongs to',
  audience: 'user',
  reply: z.object({
    user: z.object({ id: userId, name: z.string(), email: z.string(), role: userRole }),
    key: z.object({
      id: apiKeyId,
      name: z.string(),
      created_at: timestamp,
      expires_at: timestamp.nullable(),
    }),
    balance,
  }),
  status: 200,
  errors: [],
});

export const getBalance = defineContract({
  id: 'getBalance',
  method: 'GET',
  path: '/v1/balance',
  summary: 'Your balance',
  audience: 'user',
  reply: balance,
  status: 200,
  errors: [],
});

/** Money for one job. */
export const payment = z
  .object({
    id: paymentId,
    job_id: jobId,
    state: paymentState,
    hold_micros: microsString,
    amount_micros: microsString.describe('What was paid; 0 until settled.'),
    created_at: timestamp,
    settled_at: timestamp.nullable(),
  })
  .meta({ id: 'Payment' });
export type Payment = z.infer<typeof payment>;

export const listPayments = defineContract({
  id: 'listPayments',
  method: 'GET',
  path: '/v1/payments',
  summary: 'Your payments, newest first',
  audience: 'user',
  query: z.strictObject({ ...pageQuery, state: paymentState.optional() }),
  reply: pageOf(payment),
  status: 200,
  errors: [],
});

export const apiKeyView = z
  .object({
    id: apiKeyId,
    name: z.string(),
    prefix: z.string().describe('First characters of the key, to recognise it.'),
    created_at: timestamp,
    expires_at: timestamp.nullable(),
    revoked_at: timestamp.nullable(),
    last_used_at: timestamp.nullable(),
  })
  .meta({ id: 'ApiKey' });

export const createApiKey = defineContract({
  id: 'createApiKey',
  method: 'POST',
  path: '/v1/api-keys',
  summary: 'Make an API key; its secret is shown once',
  audience: 'user',
  body: z.strictObject({
    name: z.string().trim().min(1).max(128),
    expires_in_seconds: z.number().int().min(60).max(31_536_000).nullable().default(null),
  }),
  reply: z.object({ ...apiKeyView.shape, token: z.string() }),
  status: 201,
  idempotent: true,
  errors: ['request/idempotency-key-missing', 'request/idempotency-key-reused'],
});

export const revokeApiKey = defineContract({
  id: 'revokeApiKey',
  method: 'DELETE',
  path: '/v1/api-keys/{key}',
  summary: 'Revoke an API key at once',
  audience: 'user',
  params: z.strictObject({ key: apiKeyId }),
  status: 204,
  errors: ['request/not-found'],
});

export const listApiKeys = defineContract({
  id: 'listApiKeys',
  method: 'GET',
  path: '/v1/api-keys',
  summary: 'Your API keys',
  audience: 'user',
  reply: z.object({ items: z.array(apiKeyView) }),
  status: 200,
  errors: [],
});
