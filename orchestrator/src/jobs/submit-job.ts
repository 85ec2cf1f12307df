import type { Tx } from '@computefabric/db/client';
import { newId, type UserId } from '@computefabric/protocol/ids';
import { CURRENCY, formatUsd } from '@computefabric/protocol/money';
import type { JobSpec } from '@computefabric/protocol/user-api/job-spec';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { notify } from '../background/signals.ts';
import { placeHold } from '../ledger/place-hold.ts';
import { type JobTerms, quoteTerms } from '../pricing/quote.ts';
import type { JobRow } from './job.store.ts';
import { appendJobEvent } from './job-events.store.ts';
import { nameFromImage } from './job-name.ts';
import { insertJob, insertPayment, jobOf } from './job-reads.store.ts';

/**
 * Puts a job into the queue: the job, the hold for the most that it may cost, its payment and its first event,
 * all in the caller's transaction. The matcher hears of it when that commits.
 *
 * @param defaultMaxPricePerHourMicros price limit of a spec that names none
 * @throws AppError `job/name-taken`, `ledger/insufficient-funds` or `request/invalid`.
 */
export async function submitJob(
  tx: Tx,
  {
    userId,
    spec,
    defaultMaxPricePerHourMicros,
  }: { userId: UserId; spec: JobSpec; defaultMaxPricePerHourMicros: bigint },
): Promise<JobRow> {
  const terms = quoteTerms(spec, defaultMaxPricePerHourMicros);
  const { id } = await insertNamed(tx, userId, spec, terms);
  await insertPayment(tx, {
    id: newId('payment'),
    jobId: id,
    userId,
    currency: CURRENCY,
    holdMicros: terms.holdMicros,
  });
  await placeHold(tx, { jobId: id, userId, amountMicros: terms.holdMicros });
  await appendJobEvent(tx, {
    jobId: id,
    type: 'submitted',
    message: `Submitted. At most ${formatUsd(terms.holdMicros)} is reserved.`,
    data: { hold_micros: String(terms.holdMicros) },
  });
  await notify(tx, 'cf_queue');
  const job = await jobOf(tx, userId, id);
  invariant(job, `job ${id} exists once it was submitted`);
  return job;
}

/** Names tried before giving up: of 32⁴ tails, one that is taken is rare and five in a row do not happen. */
const nameTries = 5;

async function insertNamed(tx: Tx, userId: UserId, spec: JobSpec, terms: JobTerms): Promise<JobRow> {
  for (let attempt = 0; attempt < nameTries; attempt += 1) {
    const inserted = await insertJob(tx, {
      id: newId('job'),
      userId,
      name: spec.name ?? nameFromImage(spec.image),
      image: spec.image,
      command: spec.command,
      env: spec.env,
      ...terms.needs,
      gpuModels: [...terms.needs.gpuModels],
      regions: [...terms.needs.regions],
      priority: spec.priority,
      maxRetries: spec.retries.max,
      retryOnExitCodes: spec.retries.on_exit_codes,
      neverRetryOnExitCodes: spec.retries.never_on_exit_codes,
      lostAfterSeconds: spec.disconnect.lost_after_seconds,
      stopAfterSeconds: spec.disconnect.stop_after_seconds,
      replaceWhenLost: spec.disconnect.replace,
      keepOnReturn: spec.disconnect.keep,
      checkpoint: spec.checkpoint,
      stopGraceSeconds: spec.stop_grace_seconds,
      timeLimitSeconds: spec.time_limit_seconds,
      queueTimeoutSeconds: spec.queue_timeout_seconds,
      holdMicros: terms.holdMicros,
    });
    if (inserted) return inserted;
    if (spec.name !== undefined) {
      throw new AppError('job/name-taken', {
        message: `You have a job called ${spec.name} already.`,
        fields: [{ path: 'name', message: 'is taken' }],
      });
    }
  }
  throw new AppError('server/busy', { internal: `no free name for ${spec.image} in ${nameTries} tries` });
}
