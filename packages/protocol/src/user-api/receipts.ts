import { z } from 'zod';
import { defineContract } from '../contract.ts';
import { marketKey, signedGroupReceipt, signedJobReceipt } from '../receipts/receipt.ts';
import { jobRef } from './jobs.ts';

export const getReceipt = defineContract({
  id: 'getReceipt',
  method: 'GET',
  path: '/v1/jobs/{job}/receipt',
  summary: 'The signed receipt of an ended job',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  reply: signedJobReceipt,
  status: 200,
  errors: ['job/not-found', 'receipt/not-ready'],
});

export const getGroupReceipt = defineContract({
  id: 'getGroupReceipt',
  method: 'GET',
  path: '/v1/groups/{group}/receipt',
  summary: 'One signed bill for an array or gang that has ended',
  audience: 'user',
  params: z.strictObject({ group: z.string().min(1).max(128).describe('Group id or name.') }),
  reply: signedGroupReceipt,
  status: 200,
  errors: ['group/not-found', 'receipt/not-ready'],
});

/** For everybody: whoever holds a receipt may check it. */
export const listMarketKeys = defineContract({
  id: 'listMarketKeys',
  method: 'GET',
  path: '/v1/keys',
  summary: 'Public keys that receipts are checked with, old ones too',
  audience: 'public',
  reply: z.object({ keys: z.array(marketKey) }),
  status: 200,
  errors: [],
});
