import { z } from 'zod';
import { timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { providerId } from '../ids.ts';
import { microsString } from '../money.ts';
import { trustTier } from '../trust-tier.ts';

/** What the operator of a market alone may do. */
export const setMachineTier = defineContract({
  id: 'setMachineTier',
  method: 'PATCH',
  path: '/v1/admin/providers/{provider}',
  summary: 'Say how far the operator vouches for a machine',
  audience: 'user',
  params: z.strictObject({ provider: providerId }),
  body: z.strictObject({ tier: trustTier }),
  reply: z.object({ id: providerId, name: z.string(), tier: trustTier }),
  status: 200,
  errors: ['auth/forbidden', 'provider/not-found'],
});

/** The books, added up anew. */
export const auditLedger = defineContract({
  id: 'auditLedger',
  method: 'GET',
  path: '/v1/admin/ledger/audit',
  summary: 'Add the books up anew: every finding is a fault of the market',
  audience: 'user',
  reply: z
    .object({
      at: timestamp,
      findings: z.array(z.object({ rule: z.string(), subject: z.string(), detail: z.string() })),
      accounts: z.array(
        z.object({
          kind: z.string(),
          accounts: z.number().int(),
          credits_micros: microsString,
          debits_micros: microsString,
          balance_micros: microsString,
          lowest_micros: microsString.describe('The lowest balance of one of them.'),
        }),
      ),
      pending_holds: z.object({
        count: z.number().int(),
        micros: microsString,
        oldest_seconds: z.number().int(),
      }),
    })
    .meta({ id: 'LedgerAudit' }),
  status: 200,
  errors: ['auth/forbidden'],
});
