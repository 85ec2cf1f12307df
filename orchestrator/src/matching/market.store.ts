import type { Db, Tx } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import type { GpuId, GroupId, JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { holdingLeaseStates } from '@computefabric/protocol/lease-state';
import { and, asc, eq, inArray, ne, type SQLWrapper, sql } from 'drizzle-orm';
import type { QueuedJob } from './queue/queued-job.ts';
import type { MachineView } from './machine-view.ts';

/** Every machine that has ever said hello, or those named, with what is free of it now. */
export async function loadMachines(db: Db | Tx, only?: readonly ProviderId[]): Promise<MachineView[]> {
  if (only?.length === 0) return [];
  const machineRows = await db
    .select({
      provider: providers,
      awayInMs: awayInMs.as('away_in_ms'),
      restsInMs: restsInMs.as('rests_in_ms'),
    })
    .from(providers)
    .where(and(ne(providers.state, 'pending'), only ? inArray(providers.id, [...only]) : undefined))
    .orderBy(asc(providers.id));
  const gpuRows = await db
    .select()
    .from(gpus)
    .where(and(eq(gpus.present, true), only ? inArray(gpus.providerId, [...only]) : undefined))
    .orderBy(asc(gpus.providerId), asc(gpus.index));
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
    .where(
      and(
        inArray(leases.state, holdingLeaseStates),
        only ? inArray(leases.providerId, [...only]) : undefined,
      ),
    );
  const gpusOf = byProvider(gpuRows);
  const leasesOf = byProvider(leaseRows);
  return machineRows.map(({ provider, awayInMs, restsInMs }) => {
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
      tier: provider.tier,
      reliabilityMilli: provider.reliabilityMilli,
      cachedImages: provider.cachedImages,
      availability: provider.availability,
      awayInMs,
      restsInMs,
      running: taken,
      gpus: (gpusOf.get(provider.id) ?? []).map((gpu) => ({
        id: gpu.id,
        name: gpu.name,
        memoryMib: gpu.memoryMib,
        simulated: gpu.simulated,
        driverVersion: gpu.driverVersion,
        computeCapability: gpu.computeCapability,
        freeMilli: 1_000 - (takenOfGpu.get(gpu.id) ?? 0),
      })),
    };
  });
}

/** What a job has left of its time limit after moves, in whole seconds; as `leftSeconds` of `metering/usage.ts`. */
const leftSeconds = sql<number>`greatest(1, ceil(${jobs.timeLimitSeconds} - ${jobs.usedMs} / 1000.0))::int`;

/** Until a planned absence; 0 while it lasts, null without one. */
const awayInMs = sql<number | null>`case
  when ${providers.awayFrom} is null or ${providers.awayUntil} <= now() then null
  else greatest(extract(epoch from ${providers.awayFrom} - now()) * 1000, 0)::float8 end`;

/** Until the rest after an offer that was not taken is over. */
const restsInMs = sql<number | null>`case when ${providers.restsUntil} > now()
  then (extract(epoch from ${providers.restsUntil} - now()) * 1000)::float8 end`;

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
  class: jobs.class,
  maxPricePerHourMicros: jobs.maxPricePerHourMicros,
  timeLimitSeconds: leftSeconds,
  checkpoint: jobs.checkpoint,
};

const machineFaults = endReasonCodes.filter((reason) => endReasonRow(reason).requeue);

/** The machine of a job's last try when that failed for the machine's sake; asked only of jobs that have had one. */
const machineToAvoid = sql<ProviderId | null>`case when ${jobs.attempts} > 0 then (
  select case when last.end_reason in (${sql.join(
    machineFaults.map((reason) => sql`${reason}`),
    sql`, `,
  )}) then last.provider_id end
  from leases last where last.job_id = ${jobs.id} order by last.attempt desc limit 1) end`;

/** A machine, or its owner's wish, ended the try; that the peers of its rank fell with it is not their doing. */
const endedByMachine = endReasonCodes.filter(
  (reason) => endReasonRow(reason).fault === 'provider' && reason !== 'peer-lost',
);

/** The owners of the machines that ended a started try of a rank of this gang. */
function spoilersOf(groupId: SQLWrapper | GroupId) {
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

const queuedColumns = {
  id: jobs.id,
  userId: jobs.userId,
  needs: needsColumns,
  image: jobs.image,
  priority: jobs.priority,
  queuedAtMs: sql<number>`(extract(epoch from ${jobs.queuedAt}) * 1000)::float8`,
  backoffMs: sql<number>`greatest(0, coalesce(extract(epoch from ${jobs.notBefore} - now()) * 1000, 0))::float8`,
  avoid: machineToAvoid,
  gangId: jobGroups.id,
  gangSize: jobGroups.size,
  // Of a gang that has never run nobody has spoiled anything.
  gangSpoiledBy: sql<UserId[] | null>`case when ${jobGroups.id} is not null and ${jobs.attempts} > 0
    then ${spoilersOf(jobGroups.id)} end`,
};

/** Those of the named jobs that wait for a machine. */
export async function loadQueuedJobs(db: Db, ids: readonly JobId[]): Promise<QueuedJob[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .select(queuedColumns)
    .from(jobs)
    .leftJoin(jobGroups, ofGang)
    .where(and(eq(jobs.state, 'queued'), sql`${jobs.id} = any(${sql.param([...ids])}::text[])`));
  return rows.map(toQueuedJob);
}

/** A page of the jobs that wait for a machine, longest waiting first, after the one named. */
export async function pageQueuedJobs(db: Db, after: JobId | null, limit: number): Promise<QueuedJob[]> {
  const last = db
    .select({ queuedAt: jobs.queuedAt, id: jobs.id })
    .from(jobs)
    .where(eq(jobs.id, after ?? 'job_'));
  const rows = await db
    .select(queuedColumns)
    .from(jobs)
    .leftJoin(jobGroups, ofGang)
    .where(
      and(
        eq(jobs.state, 'queued'),
        after === null ? undefined : sql`(${jobs.queuedAt}, ${jobs.id}) > (${last})`,
      ),
    )
    .orderBy(asc(jobs.queuedAt), asc(jobs.id))
    .limit(limit);
  return rows.map(toQueuedJob);
}

const ofGang = and(eq(jobGroups.id, jobs.groupId), eq(jobGroups.kind, 'gang'));

function toQueuedJob({
  gangId,
  gangSize,
  gangSpoiledBy,
  ...job
}: Omit<QueuedJob, 'gang'> & {
  gangId: GroupId | null;
  gangSize: number | null;
  gangSpoiledBy: UserId[] | null;
}): QueuedJob {
  const gang =
    gangId && gangSize ? { groupId: gangId, size: gangSize, spoiledBy: gangSpoiledBy ?? [] } : null;
  return { ...job, gang };
}
