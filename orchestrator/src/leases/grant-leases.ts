import type { Db, Tx } from '@computefabric/db/client';
import type { GpuId, JobId, ProviderId } from '@computefabric/protocol/ids';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import { formatUsd } from '@computefabric/protocol/money';
import type { Placement, PlacementSet, StateThere } from '../matching/match.ts';
import { ratePerHourMicros, unitPriceMicros } from '../pricing/price.ts';
import {
  type Grant,
  type HeldRoom,
  lockOpenProviders,
  type OpenProvider,
  readRooms,
  writeGrants,
} from './grant.store.ts';
import type { LeaseSettings } from './lease-deps.ts';

export type GrantResult = 'granted' | 'stale';

/**
 * Makes proposals true, all in one transaction: locks the machines, checks once more that they have the room at
 * no higher a price than the jobs allow, and writes the offers for those jobs that still wait. Two matchers may
 * propose; only one grant of a job, and of a GPU, can win. A set becomes true whole or not at all, and one that
 * does not leaves the others as they are.
 *
 * @returns for each set whether it was granted or the view behind it was old
 */
export async function grantLeases(
  db: Db,
  settings: Pick<LeaseSettings, 'offerSeconds'>,
  sets: readonly PlacementSet[],
): Promise<GrantResult[]> {
  const torn = new Set<PlacementSet>();
  for (;;) {
    try {
      return await db.transaction((tx) => grantAll(tx, settings, sets, torn));
    } catch (thrown) {
      // Written for some ranks of a gang and not for others, whose jobs do not wait: once more without it.
      if (!(thrown instanceof TornSet) || torn.has(thrown.set)) throw thrown;
      torn.add(thrown.set);
    }
  }
}

/** Some jobs of a set wait and others do not. */
class TornSet extends Error {
  constructor(readonly set: PlacementSet) {
    super('a set of placements can be granted in part only');
  }
}

async function grantAll(
  tx: Tx,
  settings: Pick<LeaseSettings, 'offerSeconds'>,
  sets: readonly PlacementSet[],
  without: ReadonlySet<PlacementSet>,
): Promise<GrantResult[]> {
  const all = sets.flat();
  const providerIds = inOrder(all.map(({ providerId }) => providerId));
  const machines = await lockOpenProviders(tx, providerIds);
  const { held, present } = await readRooms(
    tx,
    [...machines.keys()],
    all.flatMap(({ gpuIds }) => gpuIds),
  );
  const rooms = new Rooms(machines, held);
  const proposed = new Set<JobId>();
  const grants = new Map<PlacementSet, Grant[]>();
  for (const set of sets) {
    // Each job once, whatever the proposals say.
    if (without.has(set) || set.some(({ jobId }) => proposed.has(jobId))) continue;
    const checked = set.map((placement) => checkedGrant(placement, machines, present));
    const whole = checked.filter((grant) => grant !== null);
    if (whole.length < set.length || !rooms.take(whole)) continue;
    for (const { jobId } of whole) proposed.add(jobId);
    grants.set(set, whole);
  }
  const wanted = [...grants.values()].flat();
  if (wanted.length === 0) return sets.map(() => 'stale');
  const written = await writeGrants(tx, wanted, settings.offerSeconds);
  for (const [set, ranks] of grants) {
    const ranksWritten = ranks.filter(({ jobId }) => written.has(jobId)).length;
    if (ranksWritten > 0 && ranksWritten < ranks.length) throw new TornSet(set);
  }
  return sets.map((set) => (grants.get(set)?.every(({ jobId }) => written.has(jobId)) ? 'granted' : 'stale'));
}

/** The placement as it may be written; null when the machine is not as it takes it to be. */
function checkedGrant(
  { jobId, leaseId, providerId, gpuIds, needs, savedState }: Placement,
  machines: ReadonlyMap<ProviderId, OpenProvider>,
  present: ReadonlyMap<GpuId, ProviderId>,
): Grant | null {
  const provider = machines.get(providerId);
  if (!provider || unitPriceMicros(needs, provider) > needs.maxPricePerHourMicros) return null;
  if (gpuIds.length !== needs.gpus || gpuIds.some((id) => present.get(id) !== providerId)) return null;
  if (needs.gpus > 0 && needs.gpuMilli < 1_000 && !provider.sharesGpus) return null;
  if (!provider.networks.includes(needs.networkMode)) return null;
  const pricePerHourMicros = ratePerHourMicros(needs, provider);
  return {
    jobId,
    needs,
    provider,
    leaseId,
    gpuIds,
    pricePerHourMicros,
    message: `Offered to ${provider.name} at ${formatUsd(pricePerHourMicros)} per hour.${whatIsThere(savedState)}`,
  };
}

/** Why this machine and not a cheaper one, as far as the job's saved state decided it. */
function whatIsThere(savedState: StateThere | null | undefined): string {
  if (!savedState) return '';
  const { bytes, thereBytes } = savedState;
  const share = thereBytes >= bytes ? 'All' : `${formatBytes(thereBytes)} of the`;
  return ` ${share} ${formatBytes(bytes)} of its saved state are there already.`;
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

  constructor(machines: ReadonlyMap<ProviderId, OpenProvider>, held: readonly HeldRoom[]) {
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
        for (const { provider, needs, gpuIds } of taken) {
          const given = this.#rooms.get(provider.id);
          if (given) change(given, needs, gpuIds, 1);
        }
        return false;
      }
      change(room, grant.needs, grant.gpuIds, -1);
      taken.push(grant);
    }
    return true;
  }
}

function fits(room: Room, { needs, gpuIds }: Grant): boolean {
  return (
    needs.cpuMilli <= room.cpuMilli &&
    needs.memoryMib <= room.memoryMib &&
    needs.diskMib <= Math.max(0, room.diskMib) &&
    new Set(gpuIds).size === gpuIds.length &&
    gpuIds.every((id) => (room.gpuMilli.get(id) ?? 0) + needs.gpuMilli <= 1_000)
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
