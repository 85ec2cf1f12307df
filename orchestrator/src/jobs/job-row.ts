import type { UserId } from '@computefabric/protocol/ids';
import type { JobSpec } from '@computefabric/protocol/user-api/job-spec';
import type { JobTerms } from '../pricing/quote.ts';
import type { NewJob } from './job-reads.store.ts';

/** The columns of a job that its spec decides: all but id, name, state and place in a group. */
export function columnsOf(userId: UserId, spec: JobSpec, terms: JobTerms): Omit<NewJob, 'id' | 'name'> {
  return {
    userId,
    image: spec.image,
    command: spec.command,
    env: spec.env,
    ...terms.needs,
    gpuModels: [...terms.needs.gpuModels],
    regions: [...terms.needs.regions],
    networkAllow: spec.network.allow,
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
    maxCostMicros: spec.max_cost_micros === null ? null : BigInt(spec.max_cost_micros),
    onCostLimit: spec.on_limit,
    holdMicros: terms.holdMicros,
  };
}
