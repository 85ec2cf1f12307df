import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { expect, test } from 'vitest';
import { type GpuAllocation, noneAllocated } from '../container/gpu-allocator.ts';
import { testSpec } from '../testing/test-spec.ts';
import { admit, leastPriceMicros, type OwnerTerms, type TakenResources } from './admit.ts';

const terms: OwnerTerms = {
  prices: { perGpuHourMicros: 350_000n, perCpuHourMicros: 20_000n },
  cpus: 4,
  memoryMib: 8_000,
  gpuUuids: ['GPU-a', 'GPU-b'],
  sharesGpus: false,
  networks: ['none', 'allowlist'],
  spotPercent: 100,
};
const nothing: TakenResources = { tasks: 0, cpus: 0, memoryMib: 0, gpus: noneAllocated };

function judge(
  spec: Partial<TaskSpec>,
  taken: Partial<TakenResources> = {},
  changed: Partial<OwnerTerms> = {},
) {
  const admission = admit(testSpec(spec), { ...terms, ...changed }, { ...nothing, ...taken });
  return admission.kind === 'take' ? 'take' : admission.reason;
}

test('an offer that fits and pays what the owner asks is taken', () => {
  expect(judge({})).toBe('take');
  expect(judge({ gpu_uuids: ['GPU-a', 'GPU-b'], price_per_hour_micros: '700000' })).toBe('take');
  expect(judge({ cpus: 0.5, price_per_hour_micros: '10000' })).toBe('take');
});

test('an offer below the price asked is declined, for GPUs and for cores', () => {
  expect(judge({ gpu_uuids: ['GPU-a'], price_per_hour_micros: '349999' })).toMatch(/price/);
  expect(judge({ cpus: 2, price_per_hour_micros: '39999' })).toMatch(/price/);
});

test('a share of a GPU is taken where the owner shares, for its part of the price, as long as there is room', () => {
  const quarter = { gpu_uuids: ['GPU-a'], gpu_milli: 250, price_per_hour_micros: '87500' };
  const half: GpuAllocation = new Map([['GPU-a', new Map([['lease_other', 500]])]]);
  const most: GpuAllocation = new Map([['GPU-a', new Map([['lease_other', 800]])]]);
  expect(judge(quarter)).toMatch(/does not share/);
  expect(judge(quarter, {}, { sharesGpus: true })).toBe('take');
  expect(judge(quarter, { gpus: half }, { sharesGpus: true })).toBe('take');
  expect(judge(quarter, { gpus: most }, { sharesGpus: true })).toMatch(/in use/);
  expect(judge({ ...quarter, price_per_hour_micros: '87499' }, {}, { sharesGpus: true })).toMatch(/price/);
  expect(judge({ ...quarter, gpu_milli: 0 }, {}, { sharesGpus: true })).toMatch(/thousandths/);
  expect(
    judge({ gpu_uuids: ['GPU-a'], price_per_hour_micros: '350000' }, { gpus: half }, { sharesGpus: true }),
  ).toMatch(/in use/);
});

test('a spot job may pay the part of the price that the owner asks of it, and no other job may', () => {
  const offer = { gpu_uuids: ['GPU-a'], price_per_hour_micros: '175000' };
  expect(judge({ ...offer, class: 'spot' }, {}, { spotPercent: 50 })).toBe('take');
  expect(judge({ ...offer, class: 'spot' }, {}, { spotPercent: 51 })).toMatch(/price/);
  expect(judge(offer, {}, { spotPercent: 50 })).toMatch(/price/);
});

test('what the owner asks is what the market pays, to the micro', () => {
  const price = (offer: Partial<TaskSpec>, prices: bigint, spotPercent: number) =>
    leastPriceMicros(testSpec(offer), {
      prices: { perGpuHourMicros: prices, perCpuHourMicros: prices },
      spotPercent,
    });
  expect(price({ gpu_uuids: ['GPU-a'], gpu_milli: 333 }, 350_001n, 100)).toBe(116_551n);
  expect(price({ gpu_uuids: ['GPU-a'], class: 'spot' }, 350_001n, 33)).toBe(115_501n);
  expect(price({ cpus: 0.5 }, 20_001n, 100)).toBe(10_001n);
});

test('an offer of what other tasks use already is declined', () => {
  expect(judge({ cpus: 2 }, { cpus: 3 })).toMatch(/CPU/);
  expect(judge({ cpus: 0.3, price_per_hour_micros: '10000' }, { cpus: 3.7 })).toBe('take');
  expect(judge({}, { tasks: 200 })).toMatch(/as many tasks/);
  expect(judge({ memory_mib: 2_000 }, { memoryMib: 6_500 })).toMatch(/memory/);
  expect(
    judge(
      { gpu_uuids: ['GPU-a'], price_per_hour_micros: '400000' },
      { gpus: new Map([['GPU-a', new Map([['lease_other', 1_000]])]]) },
    ),
  ).toMatch(/in use/);
  expect(judge({ gpu_uuids: ['GPU-z'], price_per_hour_micros: '400000' })).toMatch(/no GPU/);
  expect(judge({ gpu_uuids: ['GPU-a', 'GPU-a'], price_per_hour_micros: '900000' })).toMatch(/twice/);
});

test('an orchestrator that asks for what no renter may is declined', () => {
  expect(judge({ image: '--privileged' })).toMatch(/image/);
  expect(judge({ image: '../../etc' })).toMatch(/image/);
  expect(judge({ env: { 'A=B': 'x' } })).toMatch(/env/);
  expect(judge({ command: [] })).toMatch(/command/);
  expect(judge({ time_limit_seconds: 0 })).toMatch(/time limit/);
  expect(judge({ stop_grace_seconds: 601 })).toMatch(/grace/);
  expect(judge({ stop_grace_seconds: 600 })).toBe('take');
  expect(judge({ variables: { COMPUTEFABRIC_ARRAY_INDEX: '3' } })).toBe('take');
  expect(judge({ variables: { LD_PRELOAD: '/evil.so' } })).toMatch(/variable/);
  expect(judge({ variables: { 'COMPUTEFABRIC_X=1\nPATH': 'x' } })).toMatch(/variable/);
  expect(judge({ variables: { COMPUTEFABRIC_PEERS: 'x'.repeat(20_000) } })).toMatch(/variable/);
  expect(judge({ cpus: 0 })).toMatch(/CPU/);
  expect(judge({ cpus: Number.NaN })).toMatch(/CPU/);
  expect(judge({ memory_mib: -5 })).toMatch(/memory/);
});
