import type { JobNeeds } from '../matching/machine-view.ts';
import type { JobSpec } from '@computefabric/protocol/user-api/job-spec';
import { canonicalJson } from '@computefabric/protocol/receipts/canonical-json';
import { AppError } from '@computefabric/runtime/errors';
import { sha256Of } from '@computefabric/runtime/receipts/signatures';
import { holdMicros, wholeRateMicros } from './price.ts';

/** What a job asks for in the market's own terms, and the most that it may cost. */
export interface JobTerms {
  needs: JobNeeds;
  holdMicros: bigint;
}

/** What a quote is about: the same for the same job, whatever the order of its fields. */
export function specHashOf(spec: JobSpec): string {
  return sha256Of(canonicalJson(JSON.parse(JSON.stringify(spec))));
}

/** Money travels as at most 18 digits, and no account holds more. */
const mostMicros = 10n ** 18n - 1n;

/**
 * Terms of a job. Its price limit is its own, else the renter's default, else the market's; the hold is that
 * limit for the whole time the job may run, so no bill can exceed it, or the job's own `max_cost` where that is less.
 *
 * @throws AppError `request/invalid` when that is more money than the books can hold.
 */
export function quoteTerms(spec: JobSpec, defaultMaxPricePerHourMicros: bigint): JobTerms {
  const needs: JobNeeds = {
    gpus: spec.requirements.gpus,
    gpuModels: spec.requirements.gpu_models,
    gpuMilli: spec.requirements.gpu_milli,
    minVramMib: spec.requirements.min_vram_mib,
    maxVramMib: spec.requirements.max_vram_mib,
    minComputeCapability: spec.requirements.min_compute_capability,
    minDriver: spec.requirements.min_driver,
    minCuda: spec.requirements.min_cuda,
    cpuMilli: Math.ceil(spec.requirements.cpus * 1_000),
    memoryMib: spec.requirements.memory_mib,
    diskMib: spec.requirements.disk_mib,
    regions: spec.requirements.regions,
    minReliabilityMilli: Math.round(spec.requirements.min_reliability * 1_000),
    minTier: spec.requirements.min_tier,
    networkMode: spec.network.mode,
    class: spec.class,
    maxPricePerHourMicros:
      spec.max_price_per_hour_micros === null
        ? defaultMaxPricePerHourMicros
        : BigInt(spec.max_price_per_hour_micros),
    timeLimitSeconds: spec.time_limit_seconds,
    checkpoint: spec.checkpoint,
  };
  // Every further try of a failing program is billed too.
  const billedSeconds = spec.time_limit_seconds * (1 + spec.retries.max);
  const hold = holdMicros(wholeRateMicros(needs, needs.maxPricePerHourMicros), billedSeconds);
  if (hold > mostMicros) {
    const message = 'must be lower: for this time limit it comes to more money than an account can hold';
    throw new AppError('request/invalid', {
      message: `max_price_per_hour_micros: ${message}.`,
      fields: [{ path: 'max_price_per_hour_micros', message }],
    });
  }
  const limit = spec.max_cost_micros === null ? null : BigInt(spec.max_cost_micros);
  return { needs, holdMicros: limit !== null && limit < hold ? limit : hold };
}
