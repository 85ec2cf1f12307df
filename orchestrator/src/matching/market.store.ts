import type { Db, Tx } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import type { GpuId, ProviderId } from '@computefabric/protocol/ids';
import { holdingLeaseStates } from '@computefabric/protocol/lease-state';
import { and, asc, eq, inArray, isNull, lte, ne, or, sql } from 'drizzle-orm';
import type { QueuedJob } from './match.ts';
import type { MachineView } from './machine-view.ts';

/** Every machine that has ever said hello, or those named, with what is free of it now. */
export async function loadMachines(db: Db | Tx, only?: readonly ProviderId[]): Promise<MachineView[]> {
  if (only?.length === 0) return [];
  const machineRows = await db
    .select({ provider: providers, awayInMs: awayInMs.as('away_in_ms') })
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
      providerId: leases.providerId,
      cpuMilli: leases.cpuMilli,
      memoryMib: leases.memoryMib,
      diskMib: leases.diskMib,
      gpuIds: leases.gpuIds,
      gpuMilli: leases.gpuMilli,
    })
    .from(leases)
    .where(
      and(
        inArray(leases.state, holdingLeaseStates),
        only ? inArray(leases.providerId, [...only]) : undefined,
      ),
    );
  const gpusOf = byProvider(gpuRows);
  const leasesOf = byProvider(leaseRows);
  return machineRows.map(({ provider, awayInMs }) => {
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

/** Until a planned absence; 0 while it lasts, null without one. */
const awayInMs = sql<number | null>`case
  when ${providers.awayUntil} <= now() then null
  else greatest(extract(epoch from ${providers.awayFrom} - now()) * 1000, 0)::float8 end`;

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
};

const machineFaults = endReasonCodes.filter((reason) => endReasonRow(reason).requeue);

/** The head of the queue: jobs that may be matched now, longest waiting first. */
export async function loadQueue(db: Db, limit: number): Promise<QueuedJob[]> {
  const lastTry = db
    .selectDistinctOn([leases.jobId], {
      jobId: leases.jobId,
      providerId: leases.providerId,
      endReason: leases.endReason,
    })
    .from(leases)
    .innerJoin(jobs, and(eq(jobs.id, leases.jobId), eq(jobs.state, 'queued')))
    .orderBy(leases.jobId, sql`${leases.attempt} desc`)
    .as('last_try');
  const rows = await db
    .select({
      id: jobs.id,
      needs: needsColumns,
      lastProvider: lastTry.providerId,
      lastReason: lastTry.endReason,
    })
    .from(jobs)
    .leftJoin(lastTry, eq(lastTry.jobId, jobs.id))
    .where(and(eq(jobs.state, 'queued'), or(isNull(jobs.notBefore), lte(jobs.notBefore, sql`now()`))))
    .orderBy(asc(jobs.queuedAt), asc(jobs.id))
    .limit(limit);
  return rows.map((row) => ({
    id: row.id,
    needs: row.needs,
    avoid: row.lastReason && machineFaults.includes(row.lastReason) ? row.lastProvider : null,
  }));
}

/** Milliseconds until the next queued job's back-off ends; null when none is in back-off. */
export async function nextBackoffEndMs(db: Db): Promise<number | null> {
  const [row] = await db
    .select({ ms: sql<number | null>`(extract(epoch from min(${jobs.notBefore}) - now()) * 1000)::float8` })
    .from(jobs)
    .where(and(eq(jobs.state, 'queued'), sql`${jobs.notBefore} > now()`));
  return row?.ms ?? null;
}
