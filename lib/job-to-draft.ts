import { formatSeconds } from '@computefabric/protocol/grammar/durations';
import { formatNetwork } from '@computefabric/protocol/grammar/networks';
import { formatNames, formatPercent, formatShare } from '@computefabric/protocol/grammar/quantities';
import { formatAsked, formatSizeRange } from '@computefabric/protocol/grammar/sizes';
import { limits } from '@computefabric/protocol/limits';
import { formatUsd } from '@computefabric/protocol/money';
import type { NetworkMode } from '@computefabric/protocol/network';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import type { CheckpointTerms } from '@computefabric/protocol/user-api/run-terms';
import type { JobDraft } from '../types/job-draft.ts';
import { shellQuote } from './cli-command.ts';

/** What an empty form asks for: the choice is the market's. */
const unsaid: JobDraft = {
  name: '',
  image: '',
  command: '',
  gpus: '',
  gpuModels: '',
  gpuShare: '',
  vram: '',
  computeCapability: '',
  driver: '',
  cuda: '',
  cpus: '',
  memory: '',
  disk: '',
  region: '',
  reliability: '',
  tier: '',
  network: '',
  maxPrice: '',
  maxCost: '',
  onLimit: '',
  class: '',
  priority: '',
  timeLimit: '',
  queue: '',
  after: '',
  retries: '',
  retryOn: '',
  neverRetryOn: '',
  lostAfter: '',
  stopAfter: '',
  replace: '',
  keep: '',
  checkpoint: '',
  checkpointEvery: '',
  checkpointCommand: '',
  stopGrace: '',
  arrayCount: '',
  matrix: '',
  maxParallel: '',
  machines: '',
  env: '',
};

/** The form as it opens: a short job on one GPU. */
export const emptyDraft: JobDraft = {
  ...unsaid,
  gpus: '1',
  cpus: '1',
  memory: '1GiB',
  timeLimit: formatSeconds(limits.timeLimitSeconds.default),
};

/** The columns of a job that say what was asked for. */
export interface SourceJob {
  image: string;
  command: string | string[] | null;
  env: Record<string, string>;
  gpus: number;
  gpuModels: string[];
  gpuMilli: number;
  minVramMib: number;
  maxVramMib: number | null;
  minComputeCapability: string | null;
  minDriver: string | null;
  minCuda: string | null;
  cpuMilli: number;
  memoryMib: number;
  diskMib: number;
  regions: string[];
  minReliabilityMilli: number;
  minTier: string;
  networkMode: NetworkMode;
  networkAllow: string[];
  class: string;
  priority: number;
  maxRetries: number;
  retryOnExitCodes: number[] | null;
  neverRetryOnExitCodes: number[];
  lostAfterSeconds: number | null;
  stopAfterSeconds: number | null;
  replaceWhenLost: boolean;
  keepOnReturn: string;
  checkpoint: CheckpointTerms | null;
  stopGraceSeconds: number;
  timeLimitSeconds: number;
  queueTimeoutSeconds: number | null;
  maxPricePerHourMicros: bigint;
  maxCostMicros: bigint | null;
  onCostLimit: string;
}

/** What a job says that says nothing more than its image. */
const usual = jobSpec.parse({ image: 'image' });

/**
 * The form filled in like an earlier job. Its name is left out, since names are unique, and so is what it came
 * after, which has ended, and the group that it was in. What is as usual is left empty.
 */
export function draftFromJob(job: SourceJob): JobDraft {
  const vram = { fromMib: job.minVramMib, toMib: job.maxVramMib };
  const unless = (usualValue: unknown, value: string | number) => (value === usualValue ? '' : String(value));
  return {
    ...unsaid,
    image: job.image,
    command: commandLine(job.command) ?? '',
    gpus: String(job.gpus),
    gpuModels: formatNames(job.gpuModels),
    gpuShare: job.gpuMilli === 1_000 ? '' : formatShare(job.gpuMilli),
    vram: vram.fromMib === 0 && vram.toMib === null ? '' : formatSizeRange(vram),
    computeCapability: job.minComputeCapability ?? '',
    driver: job.minDriver ?? '',
    cuda: job.minCuda ?? '',
    cpus: String(job.cpuMilli / 1_000),
    memory: formatAsked(job.memoryMib),
    disk: job.diskMib === 0 ? '' : formatAsked(job.diskMib),
    region: formatNames(job.regions),
    reliability: job.minReliabilityMilli === 0 ? '' : formatPercent(job.minReliabilityMilli / 1_000),
    tier: unless(usual.requirements.min_tier, job.minTier),
    network: unless(
      formatNetwork(usual.network),
      formatNetwork({ mode: job.networkMode, allow: job.networkAllow }),
    ),
    maxPrice: formatUsd(job.maxPricePerHourMicros).slice(1),
    maxCost: job.maxCostMicros === null ? '' : formatUsd(job.maxCostMicros).slice(1),
    onLimit: unless(usual.on_limit, job.onCostLimit),
    class: unless(usual.class, job.class),
    priority: unless(usual.priority, job.priority),
    timeLimit: formatSeconds(job.timeLimitSeconds),
    queue: duration(job.queueTimeoutSeconds),
    retries: unless(usual.retries.max, job.maxRetries),
    retryOn: (job.retryOnExitCodes ?? []).join(','),
    neverRetryOn: job.neverRetryOnExitCodes.join(','),
    lostAfter: duration(job.lostAfterSeconds),
    stopAfter: duration(job.stopAfterSeconds),
    replace: unless(String(usual.disconnect.replace), String(job.replaceWhenLost)),
    keep: unless(usual.disconnect.keep, job.keepOnReturn),
    checkpoint: job.checkpoint?.path ?? '',
    checkpointEvery: duration(job.checkpoint?.every_seconds ?? null),
    checkpointCommand: commandLine(job.checkpoint?.command ?? null) ?? '',
    stopGrace: job.stopGraceSeconds === usual.stop_grace_seconds ? '' : formatSeconds(job.stopGraceSeconds),
    env: Object.entries(job.env)
      .map(([name, value]) => `${name}=${value}`)
      .join('\n'),
  };
}

function duration(seconds: number | null): string {
  return seconds === null ? '' : formatSeconds(seconds);
}

/** A string runs in a shell and is shown as it is; a list is shown as one would type it; null is the image's own. */
export function commandLine(command: string | string[] | null): string | null {
  return Array.isArray(command) ? command.map(shellQuote).join(' ') : command;
}
