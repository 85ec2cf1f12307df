import type { Tx } from '@computefabric/db/client';
import { type ApiKeyId, newId, type ScheduleId, type UserId } from '@computefabric/protocol/ids';
import { CURRENCY, formatUsd } from '@computefabric/protocol/money';
import type { JobSpec } from '@computefabric/protocol/user-api/job-spec';
import { AppError } from '@computefabric/runtime/errors';
import { chargeBudgets } from '../accounts/budget.store.ts';
import { placeHold } from '../ledger/place-hold.ts';
import { type JobTerms, quoteTerms } from '../pricing/quote.ts';
import { findGroupOf } from './group-reads.store.ts';
import type { JobRow } from './job.store.ts';
import { insertDependencies } from './job-dependencies.store.ts';
import { nameFromImage } from './job-name.ts';
import { insertJob, insertSubmitted } from './job-reads.store.ts';
import { columnsOf } from './job-row.ts';
import { resolveDependencies } from './resolve-dependencies.ts';

interface SubmitJob {
  userId: UserId;
  /** The key that asks for it; null for a schedule. */
  apiKeyId?: ApiKeyId | null;
  spec: JobSpec;
  /** Price limit of a spec that names none. */
  defaultMaxPricePerHourMicros: bigint;
  /** The schedule that submits it. */
  scheduleId?: ScheduleId | null;
}

/**
 * Puts a job into the queue: the job, the hold for the most that it may cost, its payment and its first event,
 * all in the caller's transaction. The matcher hears of it when that commits.
 * A job that comes after others waits in `blocked` until they have ended.
 *
 * @throws AppError `job/name-taken`, `ledger/insufficient-funds`, `budget/exceeded` or `request/invalid`.
 */
export async function submitJob(tx: Tx, submit: SubmitJob): Promise<JobRow> {
  const { userId, spec, defaultMaxPricePerHourMicros } = submit;
  const terms = quoteTerms(spec, defaultMaxPricePerHourMicros);
  const after = await resolveDependencies(tx, userId, spec.after);
  const state = after.every(({ met }) => met) ? 'queued' : 'blocked';
  const job = await insertNamed(tx, submit, terms, state);
  await insertDependencies(tx, { jobId: job.id }, after);
  await placeHold(tx, { jobId: job.id, userId, amountMicros: terms.holdMicros });
  await chargeBudgets(tx, { userId, apiKeyId: submit.apiKeyId ?? null }, terms.holdMicros);
  await insertSubmitted(tx, job, {
    payment: { id: newId('payment'), currency: CURRENCY },
    message: `Submitted. At most ${formatUsd(terms.holdMicros)} is reserved.`,
    data: { hold_micros: String(terms.holdMicros) },
    // Blocked: what it waits for may have ended while this was written, so it is looked at once it is there.
    signal: state === 'queued' ? 'cf_queue' : 'cf_blocked',
  });
  return job;
}

/** Names tried before giving up: of 32⁴ tails, one that is taken is rare and five in a row do not happen. */
const nameTries = 5;

async function insertNamed(
  tx: Tx,
  { userId, apiKeyId = null, spec, scheduleId = null }: SubmitJob,
  terms: JobTerms,
  state: 'queued' | 'blocked',
): Promise<JobRow> {
  for (let attempt = 0; attempt < nameTries; attempt += 1) {
    const name = spec.name ?? nameFromImage(spec.image);
    const taken = await findGroupOf(tx, userId, name); // a reference names a job or a group
    const inserted = taken
      ? null
      : await insertJob(tx, {
          ...columnsOf(userId, spec, terms),
          id: newId('job'),
          name,
          state,
          scheduleId,
          apiKeyId,
          eventSeq: 1, // that it was submitted, written below
        });
    if (inserted) return inserted;
    if (spec.name !== undefined) {
      throw new AppError('job/name-taken', {
        message: `You have a job or group called ${spec.name} already.`,
        fields: [{ path: 'name', message: 'is taken' }],
      });
    }
  }
  throw new AppError('server/busy', { internal: `no free name for ${spec.image} in ${nameTries} tries` });
}
