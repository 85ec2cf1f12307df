import { z } from 'zod';
import { defineContract } from '../contract.ts';
import { providerId } from '../ids.ts';
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
