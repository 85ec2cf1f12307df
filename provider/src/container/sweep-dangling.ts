import type { ContainerDriver, OwnedResource } from './container-driver.ts';

export interface SweepOptions {
  driver: Pick<ContainerDriver, 'listOwned' | 'removeLease'>;
  /** The leases that this agent knows of, asked for anew at each sweep. */
  knownLeaseIds: () => Iterable<string>;
  /** Milliseconds that only grow. */
  monotonicMs: () => number;
  /** How long something must have been seen without a lease before it is removed. */
  graceSeconds: number;
}

export interface SweepReport {
  /** Seen without a lease, and left for now. */
  waiting: OwnedResource[];
  removed: OwnedResource[];
  /** Would not go; tried again at the next sweep. */
  failed: { leaseId: string; error: unknown }[];
}

/**
 * Finds containers and networks of this agent that no lease claims: what a crash left between two steps. A first
 * sighting only starts the clock, so the first sweep never removes anything; whoever reads its report sees what is
 * going to happen. The grace covers a task that is being made while its lease is being written down.
 */
export class DanglingSweep {
  readonly #options: SweepOptions;
  readonly #firstSeenMs = new Map<string, number>();

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** One look, and the removal of what is due. Throws when the engine cannot be asked. */
  async sweep(): Promise<SweepReport> {
    const { driver, knownLeaseIds, monotonicMs, graceSeconds } = this.#options;
    const owned = await driver.listOwned();
    // Asked after the listing: a lease that was written down meanwhile counts.
    const known = new Set(knownLeaseIds());
    const dangling = owned.filter(({ leaseId }) => !known.has(leaseId));
    this.#forgetAllBut(dangling);

    const nowMs = monotonicMs();
    const report: SweepReport = { waiting: [], removed: [], failed: [] };
    const due = new Map<string, OwnedResource[]>();
    for (const resource of dangling) {
      const firstSeenMs = this.#firstSeenMs.get(resource.id);
      if (firstSeenMs === undefined) this.#firstSeenMs.set(resource.id, nowMs);
      if (firstSeenMs === undefined || nowMs - firstSeenMs < graceSeconds * 1000)
        report.waiting.push(resource);
      else due.set(resource.leaseId, [...(due.get(resource.leaseId) ?? []), resource]);
    }
    for (const [leaseId, resources] of due) {
      // A removal takes a while, in which a lease may have come (back): the last look is just before.
      if (new Set(knownLeaseIds()).has(leaseId)) continue;
      try {
        await driver.removeLease(leaseId);
        report.removed.push(...resources);
      } catch (error) {
        report.failed.push({ leaseId, error });
      }
    }
    return report;
  }

  #forgetAllBut(dangling: readonly OwnedResource[]): void {
    const ids = new Set(dangling.map(({ id }) => id));
    for (const id of this.#firstSeenMs.keys()) if (!ids.has(id)) this.#firstSeenMs.delete(id);
  }
}
