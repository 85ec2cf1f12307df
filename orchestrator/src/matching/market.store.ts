import type { Db, Tx } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import type { GpuId, GroupId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { holdingLeaseStates } from '@computefabric/protocol/lease-state';
import { and, asc, eq, inArray, ne, type SQLWrapper, sql } from 'drizzle-orm';
import { ownerAccepts } from '../providers/owner-notice.store.ts';
import type { MachineView } from './machine-view.ts';

/** The cards of machines as they were read, by machine: they change with a session's hello only. */
export type KnownCards = Map<ProviderId, { session: number; cards: MachineView['gpus'] }>;

/**
 * Every machine that has ever said hello, or those named, with what is free of it now.
 *
 * @param known cards that were read before; those of the machines read here are added
 */
export async function loadMachines(
  db: Db | Tx,
  only?: readonly ProviderId[],
  known: KnownCards = new Map(),
): Promise<MachineView[]> {
  if (only?.length === 0) return [];
  const named = (column: typeof providers.id | typeof leases.providerId | typeof gpus.providerId) =>
    only ? sql`${column} = any(${sql.param([...only])}::text[])` : undefined;
  const machineRows = await db
    .select(machineColumns)
    .from(providers)
    .where(and(ne(providers.state, 'pending'), named(providers.id)))
    .orderBy(asc(providers.id));
  const leaseRows = await db
    .select({
      id: leases.id,
      jobId: leases.jobId,
      userId: jobs.userId,
      providerId: leases.providerId,
      spot: leases.spot,
      stopping: sql<boolean>`${leases.desired} = 'stop' or ${leases.state} = 'releasing'`,
      endsInMs: endsInMs.as('ends_in_ms'),
      cpuMilli: leases.cpuMilli,
      memoryMib: leases.memoryMib,
      diskMib: leases.diskMib,
      gpuIds: leases.gpuIds,
      gpuMilli: leases.gpuMilli,
    })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(and(inArray(leases.state, holdingLeaseStates), named(leases.providerId)));
  await readCards(
    db,
    machineRows.map(({ provider }) => provider),
    known,
  );
  const leasesOf = byProvider(leaseRows);
  return machineRows.map(({ provider, ownerAccepts, awayInMs, restsInMs }) => {
    const taken = leasesOf.get(provider.id) ?? [];
    const takenOfGpu = new Map<GpuId, number>();
    for (const lease of taken) {
      for (const id of lease.gpuIds) takenOfGpu.set(id, (takenOfGpu.get(id) ?? 0) + lease.gpuMilli);
    }
    return {
      id: provider.id,
      ownerId: provider.ownerId,
      name: provider.name,
      state: provider.state,
      cpuMilli: provider.cpuMilli,
      cpuMilliFree: provider.cpuMilli - sum(taken, (lease) => lease.cpuMilli),
      memoryMib: provider.memoryMib,
      memoryMibFree: provider.memoryMib - sum(taken, (lease) => lease.memoryMib),
      diskMibFree: provider.diskFreeMib - sum(taken, (lease) => lease.diskMib),
      pricePerGpuHourMicros: provider.pricePerGpuHourMicros,
      pricePerCpuHourMicros: provider.pricePerCpuHourMicros,
      spotPercent: provider.spotPercent,
      sharesGpus: provider.sharesGpus,
      region: provider.region,
      cudaVersion: provider.cudaVersion,
      networks: provider.networks,
      protection: {
        network_note: provider.networkNote,
        disk_limited: provider.diskLimited,
        disk_note: provider.diskNote,
        sandbox: provider.sandbox,
      },
      tier: provider.tier,
      reliabilityMilli: provider.reliabilityMilli,
      cachedImages: provider.cachedImages,
      availability: provider.availability,
      ownerAccepts,
      awayInMs,
      restsInMs,
      running: taken,
      gpus: (known.get(provider.id)?.cards ?? []).map((card) => ({
        ...card,
        freeMilli: 1_000 - (takenOfGpu.get(card.id) ?? 0),
      })),
    };
  });
}

const machineColumns = {
  provider: {
    id: providers.id,
    session: providers.session,
    ownerId: providers.ownerId,
    name: providers.name,
    state: providers.state,
    cpuMilli: providers.cpuMilli,
    memoryMib: providers.memoryMib,
    diskFreeMib: providers.diskFreeMib,
    pricePerGpuHourMicros: providers.pricePerGpuHourMicros,
    pricePerCpuHourMicros: providers.pricePerCpuHourMicros,
    spotPercent: providers.spotPercent,
    sharesGpus: providers.sharesGpus,
    region: providers.region,
    cudaVersion: providers.cudaVersion,
    networks: providers.networks,
    networkNote: providers.networkNote,
    diskLimited: providers.diskLimited,
    diskNote: providers.diskNote,
    sandbox: providers.sandbox,
    tier: providers.tier,
    reliabilityMilli: providers.reliabilityMilli,
    cachedImages: providers.cachedImages,
    availability: providers.availability,
  },
  ownerAccepts: ownerAccepts.as('owner_accepts'),
  // Until a planned absence; 0 while it lasts, null without one.
  awayInMs: sql<number | null>`case
    when ${providers.awayFrom} is null or ${providers.awayUntil} <= now() then null
    else greatest(extract(epoch from ${providers.awayFrom} - now()) * 1000, 0)::float8 end`.as('away_in_ms'),
  // Until the rest after an offer that was not taken is over.
  restsInMs: sql<number | null>`case when ${providers.restsUntil} > now()
    then (extract(epoch from ${providers.restsUntil} - now()) * 1000)::float8 end`.as('rests_in_ms'),
};

/** Reads the cards of those machines whose session is another than when they were read the last time. */
async function readCards(
  db: Db | Tx,
  machines: readonly { id: ProviderId; session: number }[],
  known: KnownCards,
): Promise<void> {
  const changed = machines.filter(({ id, session }) => known.get(id)?.session !== session);
  if (changed.length === 0) return;
  const rows = await db
    .select({
      id: gpus.id,
      providerId: gpus.providerId,
      name: gpus.name,
      memoryMib: gpus.memoryMib,
      simulated: gpus.simulated,
      driverVersion: gpus.driverVersion,
      computeCapability: gpus.computeCapability,
    })
    .from(gpus)
    .where(
      and(
        eq(gpus.present, true),
        sql`${gpus.providerId} = any(${sql.param(changed.map(({ id }) => id))}::text[])`,
      ),
    )
    .orderBy(asc(gpus.providerId), asc(gpus.index));
  const cardsOf = byProvider(rows);
  for (const { id, session } of changed) {
    const cards = (cardsOf.get(id) ?? []).map((card) => ({
      id: card.id,
      name: card.name,
      memoryMib: card.memoryMib,
      simulated: card.simulated,
      driverVersion: card.driverVersion,
      computeCapability: card.computeCapability,
      freeMilli: 1_000,
    }));
    known.set(id, { session, cards });
  }
}

/** What a job has left of its time limit after moves, in whole seconds; as `leftSeconds` of `metering/usage.ts`. */
const leftSeconds = sql<number>`greatest(1, ceil(${jobs.timeLimitSeconds} - ${jobs.usedMs} / 1000.0))::int`;

/**
 * A program ends by its time limit; one that was told to stop, by the moment given for that; what has ended is
 * cleaned up by the time that its lease runs out.
 */
const endsInMs = sql<number>`greatest(0, extract(epoch from case
  when ${leases.state} = 'releasing' then ${leases.expiresAt}
  when ${leases.stopBy} is not null then ${leases.stopBy}
  else coalesce(${leases.startedAt}, now()) + make_interval(secs => ${leftSeconds})
  end - now()) * 1000)::float8`;

function byProvider<T extends { providerId: ProviderId }>(rows: readonly T[]): Map<ProviderId, T[]> {
  const groups = new Map<ProviderId, T[]>();
  for (const row of rows) {
    const group = groups.get(row.providerId);
    if (group) group.push(row);
    else groups.set(row.providerId, [row]);
  }
  return groups;
}

function sum<T>(rows: readonly T[], amount: (row: T) => number): number {
  return rows.reduce((total, row) => total + amount(row), 0);
}

/** The columns of a job that say what it needs. */
export const needsColumns = {
  gpus: jobs.gpus,
  gpuModels: jobs.gpuModels,
  gpuMilli: jobs.gpuMilli,
  minVramMib: jobs.minVramMib,
  maxVramMib: jobs.maxVramMib,
  minComputeCapability: jobs.minComputeCapability,
  minDriver: jobs.minDriver,
  minCuda: jobs.minCuda,
  cpuMilli: jobs.cpuMilli,
  memoryMib: jobs.memoryMib,
  diskMib: jobs.diskMib,
  regions: jobs.regions,
  minReliabilityMilli: jobs.minReliabilityMilli,
  minTier: jobs.minTier,
  networkMode: jobs.networkMode,
  class: jobs.class,
  maxPricePerHourMicros: jobs.maxPricePerHourMicros,
  timeLimitSeconds: leftSeconds,
  checkpoint: jobs.checkpoint,
};

/** A machine, or its owner's wish, ended the try; that the peers of its rank fell with it is not their doing. */
const endedByMachine = endReasonCodes.filter(
  (reason) => endReasonRow(reason).fault === 'provider' && reason !== 'peer-lost',
);

/** The owners of the machines that ended a started try of a rank of this gang. */
export function spoilersOf(groupId: SQLWrapper | GroupId) {
  return sql<UserId[]>`array(
    select distinct machine.owner_id from jobs rank
    join leases try on try.job_id = rank.id join providers machine on machine.id = try.provider_id
    where rank.group_id = ${groupId} and try.started_at is not null and try.end_reason in (${sql.join(
      endedByMachine.map((reason) => sql`${reason}`),
      sql`, `,
    )}) order by 1)`;
}

/** Owners whose machines spoiled a rank of a gang before: see `gang-owners.ts`. */
export async function loadGangSpoilers(db: Db | Tx, groupId: GroupId): Promise<UserId[]> {
  const { rows } = await db.execute<{ owners: UserId[] }>(sql`select ${spoilersOf(groupId)} as owners`);
  return rows[0]?.owners ?? [];
}
