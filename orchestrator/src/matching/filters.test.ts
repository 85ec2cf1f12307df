import { describe, expect, test } from 'vitest';
import { testCard, testMachine } from '../testing/test-machine.ts';
import { compileNeeds, type FilterName, failedFilters, filters } from './filters.ts';
import { type JobNeeds, type MachineView, needsWith } from './machine-view.ts';

const anyNeeds: JobNeeds = needsWith({ gpus: 1, maxPricePerHourMicros: 1_000_000n });
const card = (change: Parameters<typeof testCard>[1]) => [testCard('m', change)];

interface Row {
  rule: FilterName;
  asked: Partial<JobNeeds>;
  fails: Partial<MachineView>;
  passes: Partial<MachineView>;
  words: string;
}

const rows: Row[] = [
  { rule: 'online', asked: {}, fails: { state: 'draining' }, passes: {}, words: 'not online' },
  {
    rule: 'availability',
    asked: {},
    fails: { availability: 'paused' },
    passes: { availability: 'open' },
    words: 'paused or draining',
  },
  {
    rule: 'owner',
    asked: {},
    fails: { ownerAccepts: false },
    passes: { ownerAccepts: true },
    words: "not lent at this moment, by their owners' rules",
  },
  {
    rule: 'region',
    asked: { regions: ['eu-west', 'lab'] },
    fails: { region: '' },
    passes: { region: 'lab' },
    words: 'not in eu-west or lab',
  },
  {
    rule: 'tier',
    asked: { minTier: 'verified' },
    fails: { tier: 'community' },
    passes: { tier: 'trusted' },
    words: 'not verified',
  },
  {
    rule: 'reliability',
    asked: { minReliabilityMilli: 950 },
    fails: { reliabilityMilli: 949 },
    passes: { reliabilityMilli: 950 },
    words: 'less reliable than 95%',
  },
  {
    rule: 'price',
    asked: { maxPricePerHourMicros: 350_000n },
    fails: { pricePerGpuHourMicros: 350_001n },
    passes: { pricePerGpuHourMicros: 350_000n },
    words: 'dearer than $0.35 per GPU-hour',
  },
  {
    rule: 'price',
    asked: { class: 'spot', maxPricePerHourMicros: 200_000n },
    fails: { spotPercent: 60 },
    passes: { spotPercent: 50 },
    words: 'dearer than $0.20 per GPU-hour',
  },
  {
    rule: 'gpus',
    asked: { gpus: 2 },
    fails: { gpus: card({}) },
    passes: { gpus: [...card({}), ...card({})] },
    words: 'fewer than 2 GPUs',
  },
  {
    rule: 'gpu-model',
    asked: { gpuModels: ['A100', 'H100'] },
    fails: {},
    passes: { gpus: card({ name: 'NVIDIA A100 80GB PCIe' }) },
    words: 'no A100 or H100',
  },
  {
    rule: 'vram',
    asked: { minVramMib: 22_889 },
    fails: { gpus: card({ memoryMib: 16_384 }) },
    passes: {},
    words: 'less than 24 GB of GPU memory',
  },
  {
    rule: 'vram',
    asked: { minVramMib: 22_889, maxVramMib: 49_152 },
    fails: { gpus: card({ memoryMib: 81_920 }) },
    passes: { gpus: card({ memoryMib: 49_140 }) },
    words: 'GPU memory is not within 24 GB..48 GiB',
  },
  {
    rule: 'compute-capability',
    asked: { minComputeCapability: '12.0' },
    fails: { gpus: card({ computeCapability: '8.9' }) },
    passes: { gpus: card({ computeCapability: '12.1' }) },
    words: 'compute capability is not known to be 12.0 or more',
  },
  {
    rule: 'driver',
    asked: { minDriver: '535.104' },
    fails: { gpus: card({ driverVersion: '535.54.03' }) },
    passes: { gpus: card({ driverVersion: '535.104.05' }) },
    words: 'GPU driver is not known to be 535.104 or newer',
  },
  {
    rule: 'driver',
    asked: { minDriver: '1' },
    fails: { gpus: card({ driverVersion: null }) },
    passes: {},
    words: 'GPU driver is not known to be 1 or newer',
  },
  {
    rule: 'network',
    asked: { networkMode: 'internet' },
    fails: { networks: ['none', 'allowlist'] },
    passes: { networks: ['none', 'internet'] },
    words: 'jobs get no internet there (a job that needs none says so: network none)',
  },
  {
    rule: 'cuda',
    asked: { minCuda: '12.10' },
    fails: { cudaVersion: '12.2' },
    passes: { cudaVersion: '12.10' },
    words: 'CUDA version is not known to be 12.10 or newer',
  },
  {
    rule: 'cuda',
    asked: { minCuda: '0' },
    fails: { cudaVersion: null },
    passes: {},
    words: 'CUDA version is not known to be 0 or newer',
  },
  {
    rule: 'sharing',
    asked: { gpuMilli: 250 },
    fails: { sharesGpus: false },
    passes: { sharesGpus: true },
    words: 'GPUs are not shared (asked for 0.25 of one)',
  },
  {
    rule: 'cpus',
    asked: { cpuMilli: 2_500 },
    fails: { cpuMilli: 2_000 },
    passes: {},
    words: 'fewer than 2.5 CPU cores',
  },
  {
    rule: 'memory',
    asked: { memoryMib: 8_192 },
    fails: { memoryMib: 8_191 },
    passes: {},
    words: 'less than 8 GiB of memory',
  },
  {
    rule: 'disk',
    asked: { diskMib: 20_480 },
    fails: { diskMibFree: 20_000 },
    passes: { diskMibFree: 20_480 },
    words: 'less than 20 GiB of disk free',
  },
  {
    rule: 'away',
    asked: { timeLimitSeconds: 3_600 },
    fails: { awayInMs: 3_599_999 },
    passes: { awayInMs: 3_600_000 },
    words: 'taken back by the owner before the job could end',
  },
  {
    rule: 'away',
    asked: { timeLimitSeconds: 86_400, checkpoint: { every_seconds: 300 } },
    fails: { awayInMs: 500_000 },
    passes: { awayInMs: 3_600_000 },
    words: 'taken back by the owner before the job could end',
  },
  {
    rule: 'resting',
    asked: {},
    fails: { restsInMs: 1 },
    passes: { restsInMs: null },
    words: 'resting for a moment after an offer that was not taken',
  },
  {
    rule: 'busy',
    asked: { gpuMilli: 500 },
    fails: { sharesGpus: true, gpus: card({ freeMilli: 499 }) },
    passes: { sharesGpus: true, gpus: card({ freeMilli: 500 }) },
    words: 'busy with other jobs',
  },
  {
    rule: 'busy',
    asked: { gpus: 0, cpuMilli: 4_000 },
    fails: { cpuMilliFree: 3_000 },
    passes: {},
    words: 'busy with other jobs',
  },
];

describe('each rule excludes what it is about, and nothing else does', () => {
  test.each(rows)('$rule: $words', ({ rule, asked, fails, passes, words }) => {
    const needs = { ...anyNeeds, ...asked };
    const wrong = testMachine('m', fails);
    expect(failedFilters(wrong, needs).map(({ name }) => name)).toEqual([rule]);
    expect(compileNeeds(needs).fails(wrong)?.name).toBe(rule);
    expect(filters.find(({ name }) => name === rule)?.sentence(needs)).toBe(words);
    const right = testMachine('m', passes);
    expect(failedFilters(right, needs)).toEqual([]);
    expect(compileNeeds(needs).fails(right)).toBeNull();
  });

  test('every rule is in the table', () => {
    expect([...new Set(rows.map(({ rule }) => rule))].toSorted()).toEqual(
      filters.map(({ name }) => name).toSorted(),
    );
  });
});

test('a big wrong card and a small right one are no big right one', () => {
  const mixed = testMachine('m', {
    gpus: [testCard('m', { name: 'NVIDIA A100 80GB PCIe', memoryMib: 81_920 }), testCard('m')],
  });
  const needs = { ...anyNeeds, gpuModels: ['RTX 4090'], minVramMib: 40_000 };
  expect(failedFilters(mixed, needs).map(({ name }) => name)).toEqual(['vram']);
});

test('cards that fail different rules are told to fail, even when no rule alone fails all of them', () => {
  const gpus = [
    testCard('m', { memoryMib: 8_192 }),
    testCard('m', { driverVersion: '470' }),
    testCard('m', { computeCapability: '7.0' }),
  ];
  const needs = { ...anyNeeds, minVramMib: 20_000, minDriver: '535', minComputeCapability: '8.0' };
  const mixed = testMachine('m', { gpus });
  expect(failedFilters(mixed, needs).length).toBeGreaterThan(0);
  expect(compileNeeds(needs).fails(mixed)).not.toBeNull();
});

test('a job without GPUs is not kept from a machine by what its cards are', () => {
  const needs = { ...anyNeeds, gpus: 0, minDriver: '999', minVramMib: 99_999 };
  expect(failedFilters(testMachine('m'), needs)).toEqual([]);
});
