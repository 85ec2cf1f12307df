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
  quote: 'quote',
  dispute: 'disp',
  topUp: 'topup',
  cardRefund: 'refund',
  budget: 'budget',
  payout: 'payout',
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
export const quoteId = z.templateLiteral(['quote_', suffix]);
export const disputeId = z.templateLiteral(['disp_', suffix]);
export const checkpointId = z.templateLiteral(['ckpt_', suffix]);
export const topUpId = z.templateLiteral(['topup_', suffix]);
export const budgetId = z.templateLiteral(['budget_', suffix]);
export const payoutId = z.templateLiteral(['payout_', suffix]);
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
export type QuoteId = z.infer<typeof quoteId>;
export type DisputeId = z.infer<typeof disputeId>;
export type CheckpointId = z.infer<typeof checkpointId>;
export type TopUpId = z.infer<typeof topUpId>;
export type BudgetId = z.infer<typeof budgetId>;
export type PayoutId = z.infer<typeof payoutId>;
export type CardRefundId = z.infer<typeof cardRefundId>;

const digits = '0123456789abcdefghjkmnpqrstvwxyz';
/** Random bytes in store: asking for ten at a time costs more than all the rest of an id. */
const store = new Uint8Array(4_096);
let used = store.length;

/** A fresh id of the given kind; time-ordered to the millisecond. */
export function newId<K extends IdKind>(kind: K): `${(typeof idPrefixes)[K]}_${string}` {
  const prefix: (typeof idPrefixes)[K] = idPrefixes[kind];
  if (used + 10 > store.length) {
    globalThis.crypto.getRandomValues(store);
    used = 0;
  }
  const random = (at: number) => store[used + at] ?? 0;
  // A UUIDv7: 48 bits of milliseconds, the version, 12 random bits, the variant, 62 random bits.
  const ms = Date.now();
  const high = Math.floor(ms / 2 ** 16); // 32 bits
  const low = ms % 2 ** 16;
  const words = [
    high,
    ((low << 16) | 0x7000 | ((random(0) & 0x0f) << 8) | random(1)) >>> 0,
    (((0x80 | (random(2) & 0x3f)) << 24) | (random(3) << 16) | (random(4) << 8) | random(5)) >>> 0,
    ((random(6) << 24) | (random(7) << 16) | (random(8) << 8) | random(9)) >>> 0,
  ];
  used += 10;
  return `${prefix}_${base32(words)}`;
}

/** 128 bits, the most significant first, as 26 digits of 5 bits; the first stands for 3. */
function base32(words: readonly number[]): string {
  let text = '';
  for (let digit = 0; digit < 26; digit += 1) {
    const end = 128 - 5 * (25 - digit); // bits up to and with this digit, from the front
    const word = (end - 1) >> 5;
    const shift = 32 * (word + 1) - end;
    let value = (words[word] ?? 0) >>> shift;
    // The digit's upper bits are at the end of the word before.
    if (shift > 27 && word > 0) value |= (words[word - 1] ?? 0) << (32 - shift);
    text += digits[value & 31];
  }
  return text;
}
