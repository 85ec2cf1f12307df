/** What each lease holds of each GPU, thousandths by lease id and UUID. A GPU that is in no entry is free. */
export type GpuAllocation = ReadonlyMap<string, ReadonlyMap<string, number>>;

export const noneAllocated: GpuAllocation = new Map();

/** A GPU that nobody uses, thousandths. */
const wholeMilli = 1_000;

export type Claim =
  | { kind: 'claimed'; allocation: GpuAllocation }
  /** Not one of this machine's GPUs. */
  | { kind: 'unknown'; uuid: string }
  /** Other leases hold so much of it that this claim does not fit. */
  | { kind: 'taken'; uuid: string; byLeaseId: string };

/**
 * Gives a lease so much of each of the GPUs that it names: of all of them or of none. A repeated claim of the same
 * lease replaces what it has, so that a task found after a restart can claim what it has.
 *
 * @param present UUIDs of this machine's GPUs
 * @param milli thousandths of each; all claims of a GPU together are at most the whole
 */
export function claimGpus(
  allocation: GpuAllocation,
  present: ReadonlySet<string>,
  leaseId: string,
  uuids: readonly string[],
  milli: number = wholeMilli,
): Claim {
  const next = new Map(allocation);
  for (const uuid of uuids) {
    if (!present.has(uuid)) return { kind: 'unknown', uuid };
    const others = [...(allocation.get(uuid) ?? [])].filter(([holder]) => holder !== leaseId);
    const taken = others.reduce((sum, [, held]) => sum + held, 0);
    const [first] = others;
    if (first && taken + milli > wholeMilli) return { kind: 'taken', uuid, byLeaseId: first[0] };
    next.set(uuid, new Map([...others, [leaseId, milli]]));
  }
  return { kind: 'claimed', allocation: next };
}

/** What is left when the lease is over. Releasing twice is fine. */
export function releaseGpus(allocation: GpuAllocation, leaseId: string): GpuAllocation {
  return new Map(
    [...allocation]
      .map(
        ([uuid, holders]) => [uuid, new Map([...holders].filter(([holder]) => holder !== leaseId))] as const,
      )
      .filter(([, holders]) => holders.size > 0),
  );
}

/** UUIDs of which nobody holds anything, in the order given. */
export function freeGpus(allocation: GpuAllocation, present: Iterable<string>): string[] {
  return [...present].filter((uuid) => !allocation.has(uuid));
}
