import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { parseDraft } from './job-draft.ts';
import { draftFromJob, emptyDraft, type SourceJob } from './job-to-draft.ts';

const job: SourceJob = {
  image: 'pytorch/pytorch:latest',
  command: ['python', 'train.py', '--name', 'a b'],
  env: { A: '1', B: 'x=y' },
  gpus: 2,
  gpuModels: ['RTX 4090'],
  minVramMib: 22_889,
  cpuMilli: 1_500,
  memoryMib: 3_815,
  timeLimitSeconds: 5_400,
  maxPricePerHourMicros: 312_500n,
  maxCostMicros: null,
  onCostLimit: 'checkpoint',
  gpuMilli: 1_000,
  maxVramMib: null,
  minComputeCapability: null,
  minDriver: null,
  minCuda: null,
  diskMib: 0,
  regions: [],
  minReliabilityMilli: 0,
  minTier: 'community',
  networkMode: 'internet',
  networkAllow: [],
  class: 'on-demand',
  priority: 50,
  maxRetries: 0,
  retryOnExitCodes: null,
  neverRetryOnExitCodes: [],
  lostAfterSeconds: null,
  stopAfterSeconds: null,
  replaceWhenLost: true,
  keepOnReturn: 'replacement',
  checkpoint: null,
  stopGraceSeconds: 10,
  queueTimeoutSeconds: null,
};

describe('the form filled in from an earlier job', () => {
  it('asks for the same again', () => {
    const parsed = parseDraft(draftFromJob(job));
    expect(parsed).toMatchObject({
      kind: 'job',
      job: {
        spec: {
          image: job.image,
          command: "python train.py --name 'a b'",
          env: job.env,
          requirements: {
            gpus: 2,
            gpu_models: ['RTX 4090'],
            min_vram_mib: 22_889,
            cpus: 1.5,
            memory_mib: 3_815,
          },
          time_limit_seconds: 5_400,
          max_price_per_hour_micros: '312500',
        },
      },
    });
  });

  it('keeps every memory size and every time limit exactly', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 16, max: 4_194_304 }),
        fc.integer({ min: 1, max: 604_800 }),
        (mib, seconds) => {
          const parsed = parseDraft(draftFromJob({ ...job, memoryMib: mib, timeLimitSeconds: seconds }));
          expect(parsed).toMatchObject({
            job: { spec: { time_limit_seconds: seconds, requirements: { memory_mib: mib } } },
          });
        },
      ),
    );
  });

  it('asks for everything that was asked for, and leaves empty what is as usual', () => {
    const special: SourceJob = {
      ...job,
      gpus: 1,
      gpuMilli: 250,
      maxVramMib: 49_152,
      minComputeCapability: '8.0',
      minDriver: '535.104',
      minCuda: '12.2',
      diskMib: 20_480,
      regions: ['eu-west', 'lab'],
      minReliabilityMilli: 950,
      minTier: 'trusted',
      class: 'spot',
      priority: 80,
      maxRetries: 3,
      retryOnExitCodes: [1],
      neverRetryOnExitCodes: [2],
      lostAfterSeconds: 60,
      stopAfterSeconds: 120,
      replaceWhenLost: false,
      keepOnReturn: 'original',
      checkpoint: { path: '/state', every_seconds: 90, command: 'save' },
      stopGraceSeconds: 60,
      queueTimeoutSeconds: 3_600,
      maxCostMicros: 500_000n,
      onCostLimit: 'stop',
    };
    const parsed = parseDraft(draftFromJob(special));
    expect(parsed.kind === 'job' && jobSpec.parse(parsed.job.spec)).toMatchObject({
      requirements: {
        gpu_milli: 250,
        min_vram_mib: 22_889,
        max_vram_mib: 49_152,
        min_compute_capability: '8.0',
        min_driver: '535.104',
        min_cuda: '12.2',
        disk_mib: 20_480,
        regions: ['eu-west', 'lab'],
        min_reliability: 0.95,
        min_tier: 'trusted',
      },
      class: 'spot',
      priority: 80,
      retries: { max: 3, on_exit_codes: [1], never_on_exit_codes: [2] },
      disconnect: { lost_after_seconds: 60, stop_after_seconds: 120, replace: false, keep: 'original' },
      checkpoint: { path: '/state', every_seconds: 90, command: 'save' },
      stop_grace_seconds: 60,
      queue_timeout_seconds: 3_600,
      max_cost_micros: '500000',
      on_limit: 'stop',
    });
    const { retries, tier, disk, replace, checkpoint, maxCost, onLimit } = draftFromJob(job);
    expect([retries, tier, disk, replace, checkpoint, maxCost, onLimit].join('')).toBe('');
  });
});

describe('the empty form', () => {
  it('lacks nothing but an image', () => {
    expect(parseDraft(emptyDraft)).toMatchObject({ kind: 'wrong', errors: { image: expect.any(String) } });
    expect(parseDraft({ ...emptyDraft, image: 'busybox:latest' }).kind).toBe('job');
  });
});
