import { z } from 'zod';
import { timestamp } from '../common.ts';
import type { JobId, LeaseId } from '../ids.ts';
import { canonicalJson } from './canonical-json.ts';

/*
 * How a try's running time is written down: in records, each naming the one before it by its hash, each signed
 * by the market and, where its agent knows how, by the machine. What the first one follows are the terms of the
 * try, so whoever signs a record has signed the price as well.
 */

/** Such as `ed25519-1f2e3d4c5b6a7988`: the beginning of the public key's SHA-256. */
export const keyId = z.string().regex(/^ed25519-[0-9a-f]{16}$/, 'must be a key id');
/** A public key: DER (SPKI) in base64, as `openssl pkey -pubin -inform DER` reads it. */
export const publicKey = z.string().regex(/^[A-Za-z0-9+/]{58}[A-Za-z0-9+/=]{2}$/, 'must be an Ed25519 key');
/** An Ed25519 signature, 64 bytes in base64. */
export const signature = z.string().regex(/^[A-Za-z0-9+/]{85}[AQgw]==$/, 'must be an Ed25519 signature');
export const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hex');

const wholeMs = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Loose: what a newer market adds is kept, so that its signature can still be checked. */
export const meteringRecord = z
  .looseObject({
    seq: z.number().int().min(1).describe('1, 2, 3, … within the try.'),
    from: timestamp,
    to: timestamp.describe("Both by the market's clock."),
    metered_ms: wholeMs.describe('Running time in between that the machine was heard of in.'),
    total_ms: wholeMs.describe('The same since the start of the try.'),
    final: z.boolean().describe('The program has ended: no record follows.'),
    prev: sha256Hex.describe('SHA-256 of the record before; of the terms, for the first.'),
    key: keyId,
    signature: signature.describe("The market's."),
    agent_key: keyId.nullable(),
    agent_signature: signature
      .nullable()
      .describe("The machine's, over the same text: it vouches for this record and all before it."),
  })
  .meta({ id: 'MeteringRecord' });
export type MeteringRecord = z.infer<typeof meteringRecord>;

/** A machine's signature of a record. */
export const countersignature = z.strictObject({ seq: z.number().int().min(1), key: keyId, signature });
export type Countersignature = z.infer<typeof countersignature>;

export interface TryTerms {
  leaseId: LeaseId;
  jobId: JobId;
  fence: number;
  attempt: number;
  pricePerHourMicros: string;
  gpuUuids: readonly string[];
}

/** What was agreed on before the first record: the text whose hash that one names. */
export function termsText(terms: TryTerms): string {
  return canonicalJson({
    type: 'computefabric-terms/1',
    lease: terms.leaseId,
    job: terms.jobId,
    fence: terms.fence,
    attempt: terms.attempt,
    price_per_hour_micros: terms.pricePerHourMicros,
    gpus: terms.gpuUuids.toSorted(),
  });
}

/** The text of a record that is signed and hashed. */
export function recordText(
  { leaseId, fence }: Pick<TryTerms, 'leaseId' | 'fence'>,
  {
    seq,
    from,
    to,
    metered_ms,
    total_ms,
    final,
    prev,
  }: Omit<MeteringRecord, 'key' | 'signature' | 'agent_key' | 'agent_signature'>,
): string {
  return canonicalJson({
    type: 'computefabric-metering/1',
    lease: leaseId,
    fence,
    seq,
    from,
    to,
    metered_ms,
    total_ms,
    final,
    prev,
  });
}
