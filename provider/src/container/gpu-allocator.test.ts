import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { claimGpus, freeGpus, type GpuAllocation, noneAllocated, releaseGpus } from './gpu-allocator.ts';

const present = new Set(['GPU-a', 'GPU-b', 'GPU-c']);

function claimed(allocation: GpuAllocation, leaseId: string, ...uuids: string[]): GpuAllocation {
  const claim = claimGpus(allocation, present, leaseId, uuids);
  if (claim.kind !== 'claimed') throw new Error(`expected a claim, got ${claim.kind}`);
  return claim.allocation;
}

describe('claiming GPUs', () => {
  test('takes them until they are released', () => {
    const one = claimed(noneAllocated, 'lease_1', 'GPU-a', 'GPU-c');
    expect(freeGpus(one, present)).toEqual(['GPU-b']);
    expect(freeGpus(releaseGpus(one, 'lease_1'), present)).toEqual(['GPU-a', 'GPU-b', 'GPU-c']);
    expect(releaseGpus(one, 'lease_2')).toEqual(one);
  });

  test('is all or nothing, and says which one was in the way', () => {
    const one = claimed(noneAllocated, 'lease_1', 'GPU-b');
    expect(claimGpus(one, present, 'lease_2', ['GPU-a', 'GPU-b'])).toEqual({
      kind: 'taken',
      uuid: 'GPU-b',
      byLeaseId: 'lease_1',
    });
    expect(claimGpus(one, present, 'lease_2', ['GPU-a', 'GPU-x'])).toEqual({
      kind: 'unknown',
      uuid: 'GPU-x',
    });
    expect(freeGpus(one, present)).toEqual(['GPU-a', 'GPU-c']);
  });

  test('may be repeated by the same lease', () => {
    const one = claimed(noneAllocated, 'lease_1', 'GPU-a');
    expect(claimed(one, 'lease_1', 'GPU-a')).toEqual(one);
  });

  test('of shares goes on until a GPU is full, and a whole one needs all of it', () => {
    const share = (allocation: GpuAllocation, leaseId: string, milli: number) =>
      claimGpus(allocation, present, leaseId, ['GPU-a'], milli);
    let allocation: GpuAllocation = noneAllocated;
    for (const [leaseId, milli] of [
      ['lease_1', 500],
      ['lease_2', 250],
      ['lease_3', 250],
    ] as const) {
      const claim = share(allocation, leaseId, milli);
      if (claim.kind !== 'claimed') throw new Error(`expected a claim, got ${claim.kind}`);
      allocation = claim.allocation;
    }
    expect(share(allocation, 'lease_4', 1)).toMatchObject({ kind: 'taken', byLeaseId: 'lease_1' });
    expect(share(releaseGpus(allocation, 'lease_2'), 'lease_4', 250).kind).toBe('claimed');
    expect(share(releaseGpus(allocation, 'lease_2'), 'lease_4', 251).kind).toBe('taken');
    expect(share(releaseGpus(allocation, 'lease_2'), 'lease_4', 1_000).kind).toBe('taken');
    expect(share(allocation, 'lease_1', 500), 'its own share is not in its way').toMatchObject({
      kind: 'claimed',
    });
  });

  test('of none is fine', () => {
    expect(claimed(noneAllocated, 'lease_1')).toEqual(noneAllocated);
  });
});

test('whatever is claimed and released in whatever order, no GPU has two holders and none gets lost', () => {
  const uuids = ['GPU-a', 'GPU-b', 'GPU-c', 'GPU-d'];
  const step = fc.record({
    release: fc.boolean(),
    leaseId: fc.constantFrom('lease_1', 'lease_2', 'lease_3'),
    uuids: fc.subarray([...uuids, 'GPU-unknown']),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const all = new Set(uuids);
      const model = new Map<string, Set<string>>();
      let allocation: GpuAllocation = noneAllocated;
      for (const { release, leaseId, uuids: asked } of steps) {
        if (release) {
          allocation = releaseGpus(allocation, leaseId);
          model.delete(leaseId);
          continue;
        }
        const others = [...model].filter(([holder]) => holder !== leaseId).flatMap(([, held]) => [...held]);
        const possible = asked.every((uuid) => all.has(uuid) && !others.includes(uuid));
        const claim = claimGpus(allocation, all, leaseId, asked);
        expect(claim.kind === 'claimed').toBe(possible);
        if (claim.kind !== 'claimed') continue;
        allocation = claim.allocation;
        model.set(leaseId, new Set([...(model.get(leaseId) ?? []), ...asked]));
      }
      const held = [...model.values()].flatMap((set) => [...set]);
      expect(new Set(held).size).toBe(held.length);
      expect([...allocation.keys()].sort()).toEqual(held.sort());
      expect(freeGpus(allocation, all).length).toBe(uuids.length - held.length);
    }),
  );
});
