import { expect, it } from 'vitest';
import { jobTerms } from './job-terms.ts';
import type { SourceJob } from './job-to-draft.ts';

const plain: SourceJob = {
  image: 'busybox',
  command: null,
  env: {},
  gpus: 0,
  gpuModels: [],
  gpuMilli: 1_000,
  minVramMib: 0,
  maxVramMib: null,
  minComputeCapability: null,
  minDriver: null,
  minCuda: null,
  cpuMilli: 1_500,
  memoryMib: 1_024,
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
  timeLimitSeconds: 3_600,
  queueTimeoutSeconds: null,
  maxPricePerHourMicros: 1_000_000n,
  maxCostMicros: null,
  onCostLimit: 'checkpoint',
};

const asText = (job: SourceJob) => jobTerms(job).map(({ name, value }) => `${name}: ${value}`);

it('of an ordinary job lists what it asks for and nothing that is as usual', () => {
  expect(asText(plain)).toEqual(['GPUs: none', 'CPU cores: 1.5', 'Memory: 1 GB', 'Time limit: 1h']);
});

it('of a demanding job lists everything, in words', () => {
  expect(
    asText({
      ...plain,
      gpus: 1,
      gpuModels: ['RTX 4090', 'A100'],
      gpuMilli: 250,
      minVramMib: 22_889,
      minDriver: '535.104',
      diskMib: 20_480,
      regions: ['eu-west', 'lab'],
      minReliabilityMilli: 950,
      minTier: 'verified',
      class: 'spot',
      maxRetries: 2,
      replaceWhenLost: false,
      checkpoint: { path: '/state', every_seconds: 300, command: null },
    }),
  ).toEqual([
    'GPUs: 1',
    'GPU model: RTX 4090 or A100',
    'Share of one GPU: 0.25',
    'Memory of each GPU: 24 GB or more',
    'Driver: 535.104 or newer',
    'CPU cores: 1.5',
    'Memory: 1 GB',
    'Free disk: 20 GiB',
    'Region: eu-west or lab',
    'Least reliability: 95%',
    'Trust: verified or better',
    'Class: spot',
    'Time limit: 1h',
    'Further tries: 2',
    'Replaced when lost: no',
    'State directory: /state',
    'Saved every: 5m',
  ]);
});
