import { typeidUnboxed } from 'typeid-js';
import { z } from 'zod';

/**
 * Every id is `<prefix>_<26 characters>`: a UUIDv7 in Crockford base32 (the TypeID form), so an id says what
 * it names and ids made later sort later. Primary keys therefore stay append-mostly in their index.
 */
export const idPrefixes = {
  user: 'user',
  profile: 'prof',
  provider: 'prov',
  gpu: 'gpu',
  job: 'job',
  lease: 'lease',
  artifact: 'art',
  payment: 'pay',
  account: 'acct',
  apiKey: 'key',
  group: 'group',
  schedule: 'sched',
  checkpoint: 'ckpt',
  topUp: 'topup',
  cardRefund: 'refund',
} as const;

export type IdKind = keyof typeof idPrefixes;

/** The 26 characters; the first is at most 7 because 26 × 5 bits are two more than a UUID has. */
const suffix = z.string().regex(/[0-7][0-9a-hjkmnp-tv-z]{25}/);

export const userId = z.templateLiteral(['user_', suffix]);
export const profileId = z.templateLiteral(['prof_', suffix]);
export const providerId = z.templateLiteral(['prov_', suffix]);
export const gpuId = z.templateLiteral(['gpu_', suffix]);
export const jobId = z.templateLiteral(['job_', suffix]);
export const leaseId = z.templateLiteral(['lease_', suffix]);
export const artifactId = z.templateLiteral(['art_', suffix]);
export const paymentId = z.templateLiteral(['pay_', suffix]);
export const accountId = z.templateLiteral(['acct_', suffix]);
export const apiKeyId = z.templateLiteral(['key_', suffix]);
export const groupId = z.templateLiteral(['group_', suffix]);
export const scheduleId = z.templateLiteral(['sched_', suffix]);
export const checkpointId = z.templateLiteral(['ckpt_', suffix]);
export const topUpId = z.templateLiteral(['topup_', suffix]);
export const cardRefundId = z.templateLiteral(['refund_', suffix]);

export type UserId = z.infer<typeof userId>;
export type ProfileId = z.infer<typeof profileId>;
export type ProviderId = z.infer<typeof providerId>;
export type GpuId = z.infer<typeof gpuId>;
export type JobId = z.infer<typeof jobId>;
export type LeaseId = z.infer<typeof leaseId>;
export type ArtifactId = z.infer<typeof artifactId>;
export type PaymentId = z.infer<typeof paymentId>;
export type AccountId = z.infer<typeof accountId>;
export type ApiKeyId = z.infer<typeof apiKeyId>;
export type GroupId = z.infer<typeof groupId>;
export type ScheduleId = z.infer<typeof scheduleId>;
export type CheckpointId = z.infer<typeof checkpointId>;
export type TopUpId = z.infer<typeof topUpId>;
export type CardRefundId = z.infer<typeof cardRefundId>;

/** A fresh id of the given kind; time-ordered to the millisecond. */
export function newId<K extends IdKind>(kind: K): `${(typeof idPrefixes)[K]}_${string}` {
  const prefix: (typeof idPrefixes)[K] = idPrefixes[kind];
  return `${prefix}_${typeidUnboxed('').slice(-26)}`;
}
