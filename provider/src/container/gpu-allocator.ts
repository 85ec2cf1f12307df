/** Which lease holds which GPU: UUID to lease id. A GPU that is in no entry is free. */
export type GpuAllocation = ReadonlyMap<string, string>;

export const noneAllocated: GpuAllocation = new Map();

export type Claim =
  | { kind: 'claimed'; allocation: GpuAllocation }
  /** Not one of this machine's GPUs. */
  | { kind: 'unknown'; uuid: string }
  | { kind: 'taken'; uuid: string; byLeaseId: string };

/**
 * Gives a lease the GPUs that it names: all of them or none. A repeated claim of the same lease changes nothing, so
 * that a task found after a restart can claim what it has.
 *
 * @param present UUIDs of this machine's GPUs
 */
export function claimGpus(
  allocation: GpuAllocation,
  present: ReadonlySet<string>,
  leaseId: string,
  uuids: readonly string[],
): Claim {
  const next = new Map(allocation);
  for (const uuid of uuids) {
    if (!present.has(uuid)) return { kind: 'unknown', uuid };
    const holder = allocation.get(uuid);
    if (holder !== undefined && holder !== leaseId) return { kind: 'taken', uuid, byLeaseId: holder };
    next.set(uuid, leaseId);
  }
  return { kind: 'claimed', allocation: next };
}

/** What is left when the lease is over. Releasing twice is fine. */
export function releaseGpus(allocation: GpuAllocation, leaseId: string): GpuAllocation {
  return new Map([...allocation].filter(([, holder]) => holder !== leaseId));
}

/** UUIDs that nobody holds, in the order given. */
export function freeGpus(allocation: GpuAllocation, present: Iterable<string>): string[] {
  return [...present].filter((uuid) => !allocation.has(uuid));
}
