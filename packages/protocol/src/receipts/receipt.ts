import { z } from 'zod';
import { timestamp } from '../common.ts';
import { endReason } from '../end-reason.ts';
import { groupKind } from '../group-kind.ts';
import { groupId, jobId, leaseId, providerId } from '../ids.ts';
import { jobState } from '../job-state.ts';
import { microsString } from '../money.ts';
import { paymentState } from '../payment-state.ts';
import { keyId, meteringRecord, publicKey, sha256Hex, signature } from './metering.ts';

/*
 * What a receipt says. Every object is loose: what a newer market adds is kept, so that an older program can
 * still check the signature over all of it.
 */

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const millis = count.describe('Milliseconds.');

/** One try: where it ran, for how long, whose fault its end was, what it cost. */
const receiptTry = z.looseObject({
  lease_id: leaseId,
  fence: count,
  attempt: count,
  machine: z.looseObject({ id: providerId, name: z.string() }),
  gpus: z.array(z.looseObject({ uuid: z.string(), name: z.string(), simulated: z.boolean() })),
  image_digest: z.string().nullable(),
  offered_at: timestamp,
  started_at: timestamp.nullable(),
  exited_at: timestamp.nullable(),
  ended_at: timestamp,
  end_reason: endReason,
  end_message: z.string().describe('What follows from the reason, for people.'),
  fault: z.enum(['nobody', 'renter', 'provider', 'platform']).describe('Whose doing the end was.'),
  exit_code: z.number().int().nullable(),
  price_per_hour_micros: microsString,
  metered_ms: millis.describe('Running time by the meter.'),
  billed_ms: millis,
  free_ms: millis.describe('Metered and not billed.'),
  cost_micros: microsString,
  fee_micros: microsString.describe("The market's part of the cost."),
  earned_micros: microsString.describe("The owner's part."),
  intervals: z.array(meteringRecord),
  agent_keys: z.array(z.looseObject({ key: keyId, public_key: publicKey })),
  log: z.looseObject({
    chunks: count,
    bytes: count,
    sha256: sha256Hex.describe('Of all its output, in the order of its chunks.'),
  }),
  files: z.array(z.looseObject({ path: z.string(), size_bytes: count, sha256: sha256Hex })),
});

const transfer = z.looseObject({
  id: z.string().describe('Given by its cause: no cause moves money twice.'),
  kind: z.string(),
  amount_micros: microsString,
  at: timestamp,
});

const estimate = z.looseObject({
  made_at: timestamp,
  cost_low_micros: microsString,
  cost_high_micros: microsString,
  run_low_seconds: count,
  run_high_seconds: count,
  wait_low_seconds: count.nullable(),
  wait_high_seconds: count.nullable(),
  past_runs: count.describe('Ended runs of the same image and command that it was made from.'),
});

const disputeOnReceipt = z.looseObject({
  id: z.string(),
  state: z.string(),
  reason: z.string(),
  decision: z.string().nullable().describe('Why it was decided as it was.'),
  refund_micros: microsString,
});

const money = {
  currency: z.string(),
  play_money: z.boolean(),
  hold_micros: microsString.describe('What was reserved at submit.'),
  cost_micros: microsString.describe('All bills together.'),
  fee_micros: microsString,
  earned_micros: microsString,
  refunded_micros: microsString,
  total_micros: microsString.describe('What was paid after refunds: cost − refunds.'),
  released_micros: microsString.describe('What of the hold was given back.'),
};

/** The receipt of one ended job. */
export const jobReceipt = z
  .looseObject({
    type: z.literal('computefabric-receipt/1'),
    number: z.number().int().min(1).describe('Counts the receipts of this job: a refund makes a new one.'),
    issued_at: timestamp,
    job: z.looseObject({
      id: jobId,
      name: z.string(),
      state: jobState,
      image: z.string(),
      end_reason: endReason,
      exit_code: z.number().int().nullable(),
      submitted_at: timestamp,
      started_at: timestamp.nullable(),
      finished_at: timestamp,
      run_seconds: count.describe('From the first start to the end, whole seconds.'),
      wait_seconds: count.describe('From the submit to the first start, or to the end.'),
    }),
    ...money,
    billed_ms: millis,
    free_ms: millis,
    payment: z.looseObject({ id: z.string(), state: paymentState }),
    ledger: z.array(transfer).describe('Every transfer of the job in the books.'),
    tries: z.array(receiptTry),
    log_sha256: sha256Hex.describe('Of the output of all tries, one after the other.'),
    estimate: estimate.nullable().describe('What was expected at submit.'),
    dispute: disputeOnReceipt.nullable(),
  })
  .meta({ id: 'JobReceipt' });
export type JobReceipt = z.infer<typeof jobReceipt>;
export type ReceiptTry = z.infer<typeof receiptTry>;

/** One bill for an array or a gang. */
export const groupReceipt = z
  .looseObject({
    type: z.literal('computefabric-group-receipt/1'),
    issued_at: timestamp,
    group: z.looseObject({ id: groupId, name: z.string(), kind: groupKind, size: count }),
    ...money,
    billed_ms: millis,
    members: z.array(
      z.looseObject({
        index: count,
        job_id: jobId,
        name: z.string(),
        state: jobState,
        end_reason: endReason,
        tries: count,
        billed_ms: millis,
        cost_micros: microsString,
        fee_micros: microsString,
        earned_micros: microsString,
        refunded_micros: microsString,
        total_micros: microsString,
      }),
    ),
  })
  .meta({ id: 'GroupReceipt' });
export type GroupReceipt = z.infer<typeof groupReceipt>;

const seal = {
  fingerprints: z
    .record(z.string(), z.string())
    .describe('For each value the beginning of its SHA-256: they tell where a changed receipt was changed.'),
  signature: z
    .looseObject({ key: keyId, value: signature })
    .describe('Ed25519 over the canonical text (RFC 8785) of {"fingerprints": …, "receipt": …}.'),
};

export const signedJobReceipt = z
  .looseObject({ receipt: jobReceipt, ...seal })
  .meta({ id: 'SignedJobReceipt' });
export type SignedJobReceipt = z.infer<typeof signedJobReceipt>;
export const signedGroupReceipt = z
  .looseObject({ receipt: groupReceipt, ...seal })
  .meta({ id: 'SignedGroupReceipt' });
export type SignedGroupReceipt = z.infer<typeof signedGroupReceipt>;
export const signedReceipt = z.union([signedJobReceipt, signedGroupReceipt]);
export type SignedReceipt = z.infer<typeof signedReceipt>;

/** A key that this market signs with, or has signed with. */
export const marketKey = z
  .looseObject({
    key: keyId,
    algorithm: z.literal('ed25519'),
    public_key: publicKey.describe('DER (SPKI) in base64.'),
    created_at: timestamp,
    endorsed_by: keyId.nullable().describe('The older key that vouches for this one.'),
    endorsement: signature.nullable().describe("That key's signature of `endorsementText`."),
  })
  .meta({ id: 'MarketKey' });
export type MarketKey = z.infer<typeof marketKey>;
