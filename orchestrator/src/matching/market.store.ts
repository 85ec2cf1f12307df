import type { Db, Tx } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import { openLeaseStates } from '@computefabric/protocol/lease-state';
import { and, asc, eq, inArray, isNull, lte, ne, or, sql } from 'drizzle-orm';
import type { QueuedJob } from './match.ts';
import type { MachineView } from './machine-view.ts';

/** Every machine that has ever said hello, with what is free of it now. */
export async function loadMachines(db: Db | Tx): Promise<MachineView[]> {
  const used = db
    .select({
      providerId: leases.providerId,
      cpuMilli: sql<number>`sum(${leases.cpuMilli})::int`.as('cpu_milli_used'),
      memoryMib: sql<number>`sum(${leases.memoryMib})::int`.as('memory_mib_used'),
    })
    .from(leases)
    .where(inArray(leases.state, openLeaseStates))
    .groupBy(leases.providerId)
    .as('used');
  const machineRows = await db
    .select({ provider: providers, cpuUsed: used.cpuMilli, memoryUsed: used.memoryMib })
    .from(providers)
    .leftJoin(used, eq(used.providerId, providers.id))
    .where(ne(providers.state, 'pending'))
    .orderBy(asc(providers.id));
  const gpuRows = await db
    .select()
    .from(gpus)
    .where(eq(gpus.present, true))
    .orderBy(asc(gpus.providerId), asc(gpus.index));
  const gpusOf = new Map<string, typeof gpuRows>();
  for (const gpu of gpuRows) {
    const known = gpusOf.get(gpu.providerId);
    if (known) known.push(gpu);
    else gpusOf.set(gpu.providerId, [gpu]);
  }
  return machineRows.map(({ provider, cpuUsed, memoryUsed }) => ({
    id: provider.id,
    ownerId: provider.ownerId,
    name: provider.name,
    state: provider.state,
    cpuMilli: provider.cpuMilli,
    cpuMilliFree: provider.cpuMilli - (cpuUsed ?? 0),
    memoryMib: provider.memoryMib,
    memoryMibFree: provider.memoryMib - (memoryUsed ?? 0),
    pricePerGpuHourMicros: provider.pricePerGpuHourMicros,
    pricePerCpuHourMicros: provider.pricePerCpuHourMicros,
    gpus: (gpusOf.get(provider.id) ?? []).map((gpu) => ({
      id: gpu.id,
      name: gpu.name,
      memoryMib: gpu.memoryMib,
      simulated: gpu.simulated,
      free: gpu.leaseId === null,
    })),
  }));
}

/** The columns of a job that say what it needs. */
export const needsColumns = {
  gpus: jobs.gpus,
  gpuModels: jobs.gpuModels,
  minVramMib: jobs.minVramMib,
  cpuMilli: jobs.cpuMilli,
  memoryMib: jobs.memoryMib,
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
