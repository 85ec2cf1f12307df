import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import type { Db, Tx } from '@computefabric/db/client';
import type { DisputeReason } from '@computefabric/protocol/dispute';
import { newId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import type { JobRow } from '../jobs/job.store.ts';
import { listEventsOf } from '../jobs/job-reads.store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { applyDecision } from './decide-dispute.ts';
import { type DisputeFacts, ruleOn } from './dispute-rules.ts';
import {
  type DisputeRow,
  findDisputedTries,
  findDisputeOfJob,
  insertDispute,
  isOlderThan,
  listStoredResults,
  lockPayment,
  movePayment,
} from './dispute.store.ts';

export interface DisputeDeps {
  db: Db;
  objects: ObjectStore;
  /** A job may be contested so long after its end, days. */
  windowDays: number;
}

/** What is read again of the results of a contested job; more is for a person to look at. */
const mostBytes = 268_435_456;
const mostEvents = 500;

/** What our records say of the job, gathered before the dispute is opened: reading files takes its time. */
export interface Evidence {
  facts: DisputeFacts;
  record: Record<string, unknown>;
}

/** Gathers the record of a job: its history, its tries, and whether its results are stored as they arrived. */
export async function gatherEvidence({ db, objects }: DisputeDeps, job: JobRow): Promise<Evidence> {
  const tries = await findDisputedTries(db, job);
  const damagedResults = await findDamaged(db, objects, job);
  const events = await listEventsOf(db, job.id, 0, mostEvents);
  const facts = { jobId: job.id, endReason: job.endReason ?? 'platform-error', tries, damagedResults };
  const record = {
    tries: tries.map((one) => ({ ...one, costMicros: String(one.costMicros) })),
    damaged_results: damagedResults,
    events: events.map(({ seq, at, type, message }) => ({ seq, at: at.toISOString(), type, message })),
  };
  return { facts, record };
}

/**
 * A renter contests a job: once, within the window, and only what was paid. The payment is disputed from here on; a
 * case that decides itself is decided in the same transaction.
 *
 * @throws AppError `dispute/not-settled`, `dispute/nothing-billed`, `dispute/too-late` or `dispute/exists`
 */
export async function openDispute(
  tx: Tx,
  { windowDays }: Pick<DisputeDeps, 'windowDays'>,
  {
    job,
    reason,
    message,
    evidence,
  }: { job: JobRow; reason: DisputeReason; message: string; evidence: Evidence },
): Promise<DisputeRow> {
  // The settle worker and another dispute of the same job wait here, or we for them.
  const payment = await lockPayment(tx, job.id);
  if (!payment || payment.settledAt === null) throw new AppError('dispute/not-settled');
  if (await findDisputeOfJob(tx, job.id)) throw new AppError('dispute/exists');
  if (payment.amountMicros === 0n || payment.state === 'refunded')
    throw new AppError('dispute/nothing-billed');
  if (await isOlderThan(tx, job.id, windowDays)) throw new AppError('dispute/too-late');
  const { id: jobId, userId } = job;
  const id = newId('dispute');
  const dispute = await insertDispute(tx, { id, jobId, userId, reason, message, evidence: evidence.record });
  if (!dispute) throw new AppError('dispute/exists');
  if (!(await movePayment(tx, payment.id, 'disputed'))) throw new AppError('dispute/not-settled');
  await appendJobEvent(tx, {
    jobId,
    type: 'disputed',
    message: 'The renter contests the job.',
    data: { dispute_id: id, reason },
  });
  const ruling = ruleOn(evidence.facts, reason);
  if (!ruling) return dispute;
  const { blame, explanation, leaseIds, rule } = ruling;
  const decision = { outcome: 'granted', blame, explanation, leaseIds, by: { rule } } as const;
  const decided = await applyDecision(tx, dispute, decision);
  invariant(decided.state === 'granted', `${id} was decided by a rule`);
  return decided;
}

/** Result files whose bytes are gone or are others than those that arrived. */
async function findDamaged(db: Db, objects: ObjectStore, job: JobRow): Promise<string[]> {
  const damaged: string[] = [];
  let bytes = 0;
  for (const { path, sha256, sizeBytes, key } of await listStoredResults(db, job.id)) {
    bytes += sizeBytes;
    if (bytes > mostBytes) break;
    if ((await hashOf(objects, key, sizeBytes)) !== sha256) damaged.push(path);
  }
  return damaged;
}

/** Of the bytes as they are stored now; null when there are none. */
async function hashOf(objects: ObjectStore, key: string, sizeBytes: number): Promise<string | null> {
  const hash = createHash('sha256');
  if (sizeBytes === 0) return hash.digest('hex');
  const bytes = await objects.open(key, { start: 0, end: sizeBytes - 1 });
  if (bytes === null) return null;
  await pipeline(bytes, hash);
  return hash.digest('hex');
}
