import type { Db } from '@computefabric/db/client';
import { endReasonRow } from '@computefabric/protocol/end-reason';
import type { JobId } from '@computefabric/protocol/ids';
import { jobMachine } from '@computefabric/protocol/job-state';
import { CURRENCY } from '@computefabric/protocol/money';
import { canonicalJson } from '@computefabric/protocol/receipts/canonical-json';
import type { MeteringRecord } from '@computefabric/protocol/receipts/metering';
import {
  type JobReceipt,
  type ReceiptTry,
  type SignedJobReceipt,
  signedJobReceipt,
} from '@computefabric/protocol/receipts/receipt';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { sealReceipt } from '@computefabric/runtime/receipts/seal-receipt';
import type { Signer } from '@computefabric/runtime/receipts/signatures';
import { listArtifactsOf } from '../artifacts/artifact.store.ts';
import { databaseNow } from '../background/database-now.ts';
import type { JobRow } from '../jobs/job.store.ts';
import type { MeterBook } from '../metering/meter-book.ts';
import { listProviderKeys, listRecords } from '../metering/metering.store.ts';
import { findQuoteOf } from '../pricing/quote.store.ts';
import { findDisputeOfJob, listDecisions } from '../disputes/dispute.store.ts';
import { hashLogs } from './hash-logs.ts';
import {
  findLatest,
  findPayment,
  insertReceipt,
  listCards,
  listEndedTries,
  listTransfersOf,
} from './receipt.store.ts';

export interface ReceiptDeps {
  db: Db;
  signer: Signer;
  meter: MeterBook;
  playMoney: boolean;
}

/** Two that ask at the same moment: the second finds the first one's receipt. */
const mostTries = 3;

/**
 * The receipt of an ended job: the one that was given out before, or, when something has changed since (a refund, the
 * machine's signature), the next one. What it says is taken from the frozen bills and held against the ledger.
 *
 * @throws AppError `receipt/not-ready` while the job has not ended or is not settled.
 */
export async function issueReceipt(deps: ReceiptDeps, job: JobRow): Promise<SignedJobReceipt> {
  for (let tries = 1; ; tries += 1) {
    const latest = await findLatest(deps.db, job.id);
    const before = latest && signedJobReceipt.parse(JSON.parse(latest.document));
    const receipt = await writeReceipt(deps, job, before);
    if (before && isSame(before.receipt, receipt)) return before;
    const signed = await sealReceipt(receipt, deps.signer);
    const row = { jobId: job.id, number: receipt.number, issuedAt: new Date(receipt.issued_at) };
    if (await insertReceipt(deps.db, { ...row, document: canonicalJson(signed) })) return signed;
    invariant(tries < mostTries, `the receipts of ${job.id} change faster than they are written`);
  }
}

/** Whether two receipts differ in nothing but their number and moment. */
function isSame(one: JobReceipt, other: JobReceipt): boolean {
  const { number: _number, issued_at: _issuedAt, ...rest } = one;
  return canonicalJson({ ...other, ...rest }) === canonicalJson(other);
}

async function writeReceipt(
  { db, meter, playMoney }: ReceiptDeps,
  job: JobRow,
  before: SignedJobReceipt | null,
): Promise<JobReceipt> {
  const payment = await findPayment(db, job.id);
  if (!jobMachine.isTerminal(job.state) || !job.endReason || !job.finishedAt || payment?.settledAt === null)
    throw new AppError('receipt/not-ready');
  invariant(payment, `${job.id} has a payment`);
  const tries = await listTries(db, meter, job.id, before);
  const ledger = await listTransfersOf(db, job.id);
  const moved = (...kinds: string[]) =>
    ledger.filter(({ kind }) => kinds.includes(kind)).reduce((sum, one) => sum + one.amountMicros, 0n);
  const sum = (field: 'cost_micros' | 'fee_micros' | 'earned_micros') =>
    tries.items.reduce((total, one) => total + BigInt(one[field]), 0n);
  const cost = sum('cost_micros');
  // What is signed is what was moved, or nothing is signed.
  invariant(
    cost === moved('earn', 'fee') && cost === payment.amountMicros,
    `${job.id}: tries come to ${cost} micros, the ledger to ${moved('earn', 'fee')}, the payment to ${payment.amountMicros}`,
  );
  const refunded = moved('refund');
  const { createdAt, startedAt, finishedAt } = job;
  return {
    type: 'computefabric-receipt/1',
    number: (before?.receipt.number ?? 0) + 1,
    issued_at: (await databaseNow(db)).toISOString(),
    job: {
      id: job.id,
      name: job.name,
      state: job.state,
      image: job.image,
      end_reason: job.endReason,
      exit_code: job.exitCode,
      submitted_at: createdAt.toISOString(),
      started_at: startedAt?.toISOString() ?? null,
      finished_at: finishedAt.toISOString(),
      run_seconds: startedAt ? secondsBetween(startedAt, finishedAt) : 0,
      wait_seconds: secondsBetween(createdAt, startedAt ?? finishedAt),
    },
    currency: CURRENCY,
    play_money: playMoney,
    hold_micros: String(moved('hold')),
    cost_micros: String(cost),
    fee_micros: String(sum('fee_micros')),
    earned_micros: String(sum('earned_micros')),
    refunded_micros: String(refunded),
    total_micros: String(cost - refunded),
    released_micros: String(moved('release')),
    billed_ms: tries.items.reduce((ms, one) => ms + one.billed_ms, 0),
    free_ms: tries.items.reduce((ms, one) => ms + one.free_ms, 0),
    payment: { id: payment.id, state: payment.state },
    ledger: ledger.map((one) => ({
      id: one.id,
      kind: one.kind,
      amount_micros: String(one.amountMicros),
      at: one.createdAt.toISOString(),
    })),
    tries: tries.items,
    log_sha256: tries.logSha256,
    estimate: estimateOnReceipt(await findQuoteOf(db, job.id)),
    dispute: await disputeOnReceipt(db, job.id),
  };
}

function estimateOnReceipt(quote: Awaited<ReturnType<typeof findQuoteOf>>): JobReceipt['estimate'] {
  if (!quote) return null;
  const { finish_earliest: _earliest, finish_latest: _latest, ...estimate } = quote.estimate;
  return { made_at: quote.createdAt.toISOString(), ...estimate };
}

async function disputeOnReceipt(db: Db, jobId: JobId): Promise<JobReceipt['dispute']> {
  const dispute = await findDisputeOfJob(db, jobId);
  if (!dispute) return null;
  const decisions = await listDecisions(db, [dispute.id]);
  return {
    id: dispute.id,
    state: dispute.state,
    reason: dispute.reason,
    decision: decisions.at(-1)?.explanation ?? null,
    refund_micros: String(dispute.refundMicros),
  };
}

function secondsBetween(from: Date, to: Date): number {
  return Math.max(0, Math.round((to.getTime() - from.getTime()) / 1_000));
}

/** The tries with all that belongs to them; offers that nobody took are none. */
async function listTries(
  db: Db,
  meter: MeterBook,
  jobId: JobId,
  before: SignedJobReceipt | null,
): Promise<{ items: ReceiptTry[]; logSha256: string }> {
  const rows = (await listEndedTries(db, jobId)).filter(({ lease }) => lease.acceptedAt !== null);
  const ids = rows.map(({ lease }) => lease.id);
  // Where nobody was there to write the last record down it is made now, from the same frozen times.
  await Promise.all(rows.filter(({ lease }) => lease.startedAt).map(({ lease }) => meter.close(lease.id)));
  const records = await listRecords(db, ids);
  const keys = await listProviderKeys(
    db,
    rows.map(({ lease }) => lease.providerId),
  );
  const cards = new Map(
    (
      await listCards(
        db,
        rows.flatMap(({ lease }) => lease.gpuIds),
      )
    ).map(({ id, ...card }) => [id, card]),
  );
  const files = await listArtifactsOf(db, jobId);
  // The output of an ended try never changes: it is read once.
  const known = new Map(before?.receipt.tries.map((one) => [one.lease_id, one.log]));
  const hashed =
    before && ids.every((id) => known.has(id))
      ? { tries: known, sha256: before.receipt.log_sha256 }
      : await hashLogs(db, ids);
  const items = rows.map(({ lease, machineName }): ReceiptTry => {
    invariant(lease.endReason && lease.endedAt, `${lease.id} has ended`);
    const log = hashed.tries.get(lease.id);
    invariant(log, `the output of ${lease.id} was read`);
    const row = endReasonRow(lease.endReason);
    const intervals = records.get(lease.id) ?? [];
    const meteredMs = intervals.at(-1)?.total_ms ?? 0;
    return {
      lease_id: lease.id,
      fence: lease.fence,
      attempt: lease.attempt,
      machine: { id: lease.providerId, name: machineName },
      gpus: lease.gpuIds.map((id) => cards.get(id)).filter((card) => card !== undefined),
      image_digest: lease.imageDigest,
      offered_at: lease.offeredAt.toISOString(),
      started_at: lease.startedAt?.toISOString() ?? null,
      exited_at: lease.startedAt ? (lease.exitedAt?.toISOString() ?? null) : null,
      ended_at: lease.endedAt.toISOString(),
      end_reason: lease.endReason,
      end_message: row.sentence,
      fault: row.fault,
      exit_code: lease.exitCode,
      price_per_hour_micros: String(lease.pricePerHourMicros),
      metered_ms: meteredMs,
      billed_ms: lease.billedMs,
      free_ms: meteredMs - lease.billedMs,
      cost_micros: String(lease.costMicros),
      fee_micros: String(lease.costMicros - lease.earnedMicros),
      earned_micros: String(lease.earnedMicros),
      intervals,
      agent_keys: agentKeysOf(intervals, keys.get(lease.providerId) ?? new Map()),
      log: { chunks: log.chunks, bytes: log.bytes, sha256: log.sha256 },
      files: files
        .filter(({ artifact }) => artifact.leaseId === lease.id)
        .map(({ artifact }) => ({
          path: artifact.path,
          size_bytes: artifact.sizeBytes,
          sha256: artifact.sha256,
        })),
    };
  });
  return { items, logSha256: hashed.sha256 };
}

/** The public keys that the machine has signed these records with. */
function agentKeysOf(
  records: readonly MeteringRecord[],
  keys: ReadonlyMap<string, string>,
): ReceiptTry['agent_keys'] {
  const used = new Set(records.flatMap(({ agent_key: key }) => (key === null ? [] : [key])));
  return [...used].flatMap((key) => {
    const publicKey = keys.get(key);
    return publicKey === undefined ? [] : [{ key, public_key: publicKey }];
  });
}
