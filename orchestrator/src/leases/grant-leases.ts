import type { Db } from '@computefabric/db/client';
import type { GpuId, JobId, ProviderId } from '@computefabric/protocol/ids';
import { formatUsd } from '@computefabric/protocol/money';
import { notifyAll } from '../background/signals.ts';
import type { JobRow } from '../jobs/job.store.ts';
import type { Placement, PlacementSet } from '../matching/match.ts';
import { ratePerHourMicros, unitPriceMicros } from '../pricing/price.ts';
import type { ProviderRow } from '../providers/provider.store.ts';
import {
  type Grant,
  listHoldingLeases,
  listPresentGpus,
  lockOpenProviders,
  lockQueuedJobs,
  writeGrants,
} from './grant.store.ts';
import type { LeaseSettings } from './lease-deps.ts';

export type GrantResult = 'granted' | 'stale';

/**
 * Makes proposals true, all in one transaction: locks the jobs and the machines, checks once more that the
 * jobs wait and that the machines have the room at no higher a price than the jobs allow, and writes the
 * offers. Two matchers may propose; only one grant of a job, and of a GPU, can win. A set becomes true whole
 * or not at all, and one that does not leaves the others as they are.
 *
 * @returns for each set whether it was granted or the view behind it was old
 */
export async function grantLeases(
  db: Db,
  settings: Pick<LeaseSettings, 'offerSeconds'>,
  sets: readonly PlacementSet[],
): Promise<GrantResult[]> {
  const all = sets.flat();
  if (all.length === 0) return [];
  return await db.transaction(async (tx) => {
    const jobs = await lockQueuedJobs(tx, inOrder(all.map(({ jobId }) => jobId)));
    const providerIds = inOrder(all.map(({ providerId }) => providerId));
    const machines = await lockOpenProviders(tx, providerIds);
    const present = await listPresentGpus(tx, inOrder(all.flatMap(({ gpuIds }) => gpuIds)));
    const rooms = new Rooms(machines, await listHoldingLeases(tx, providerIds));

    const grants: Grant[] = [];
    const results = sets.map((set): GrantResult => {
      const checked = set.map((placement) => checkedGrant(placement, jobs, machines, present));
      const whole = checked.filter((grant) => grant !== null);
      if (whole.length < set.length || !rooms.take(whole)) return 'stale';
      // Each job once, whatever the proposals say.
      for (const { job } of whole) jobs.delete(job.id);
      grants.push(...whole);
      return 'granted';
    });
    if (grants.length > 0) {
      const written = await writeGrants(tx, grants, settings.offerSeconds);
      if (written !== grants.length) throw new Error(`${grants.length - written} locked jobs did not wait`);
      await notifyAll(tx, 'cf_provider', inOrder(grants.map(({ provider }) => provider.id)));
      await notifyAll(
        tx,
        'cf_job',
        grants.map(({ job }) => job.id),
      );
    }
    return results;
  });
}

/** The placement as it may be written; null when job or machine are not as it takes them to be. */
function checkedGrant(
  { jobId, leaseId, providerId, gpuIds }: Placement,
  jobs: ReadonlyMap<JobId, JobRow>,
  machines: ReadonlyMap<ProviderId, ProviderRow>,
  present: ReadonlyMap<GpuId, ProviderId>,
): Grant | null {
  const job = jobs.get(jobId);
  const provider = machines.get(providerId);
  if (!job || !provider || unitPriceMicros(job, provider) > job.maxPricePerHourMicros) return null;
  if (gpuIds.length !== job.gpus || gpuIds.some((id) => present.get(id) !== providerId)) return null;
  if (job.gpus > 0 && job.gpuMilli < 1_000 && !provider.sharesGpus) return null;
  const pricePerHourMicros = ratePerHourMicros(job, provider);
  return {
    job,
    provider,
    leaseId,
    gpuIds,
    pricePerHourMicros,
    message: `Offered to ${provider.name} at ${formatUsd(pricePerHourMicros)} per hour.`,
    data: { provider_id: providerId, price_per_hour_micros: String(pricePerHourMicros) },
  };
}

interface Room {
  cpuMilli: number;
  memoryMib: number;
  diskMib: number;
  /** Taken of each GPU, thousandths. */
  gpuMilli: Map<GpuId, number>;
}

/** What is free on the locked machines, less what this transaction gives out. */
class Rooms {
  readonly #rooms: Map<ProviderId, Room>;

  constructor(
    machines: ReadonlyMap<ProviderId, ProviderRow>,
    held: Awaited<ReturnType<typeof listHoldingLeases>>,
  ) {
    this.#rooms = new Map(
      [...machines].map(([id, { cpuMilli, memoryMib, diskFreeMib }]) => [
        id,
        { cpuMilli, memoryMib, diskMib: diskFreeMib, gpuMilli: new Map() },
      ]),
    );
    for (const lease of held) {
      const room = this.#rooms.get(lease.providerId);
      if (room) change(room, lease, lease.gpuIds, -1);
    }
  }

  /** Takes the room of all of them; false, and nothing is taken, when one has none. */
  take(grants: readonly Grant[]): boolean {
    const taken: Grant[] = [];
    for (const grant of grants) {
      const room = this.#rooms.get(grant.provider.id);
      if (!room || !fits(room, grant)) {
        for (const { provider, job, gpuIds } of taken) {
          const given = this.#rooms.get(provider.id);
          if (given) change(given, job, gpuIds, 1);
        }
        return false;
      }
      change(room, grant.job, grant.gpuIds, -1);
      taken.push(grant);
    }
    return true;
  }
}

function fits(room: Room, { job, gpuIds }: Grant): boolean {
  return (
    job.cpuMilli <= room.cpuMilli &&
    job.memoryMib <= room.memoryMib &&
    job.diskMib <= Math.max(0, room.diskMib) &&
    new Set(gpuIds).size === gpuIds.length &&
    gpuIds.every((id) => (room.gpuMilli.get(id) ?? 0) + job.gpuMilli <= 1_000)
  );
}

function change(
  room: Room,
  by: { cpuMilli: number; memoryMib: number; diskMib: number; gpuMilli: number },
  gpuIds: readonly GpuId[],
  sign: 1 | -1,
): void {
  room.cpuMilli += sign * by.cpuMilli;
  room.memoryMib += sign * by.memoryMib;
  room.diskMib += sign * by.diskMib;
  for (const id of gpuIds) room.gpuMilli.set(id, (room.gpuMilli.get(id) ?? 0) - sign * by.gpuMilli);
}

function inOrder<T extends string>(ids: readonly T[]): T[] {
  return [...new Set(ids)].sort();
}
