import type { Tx } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import type { GpuId, JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { holdingLeaseStates } from '@computefabric/protocol/lease-state';
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { JobNeeds } from '../matching/machine-view.ts';

/* Grants are made for many jobs at once: each of these is one statement, whatever their number. */

/** Locks those of the machines that take work, in the order of their ids: nobody else gives out their room. */
export async function lockOpenProviders(tx: Tx, ids: readonly ProviderId[]) {
  const rows = await tx
    .select({
      id: providers.id,
      name: providers.name,
      cpuMilli: providers.cpuMilli,
      memoryMib: providers.memoryMib,
      diskFreeMib: providers.diskFreeMib,
      sharesGpus: providers.sharesGpus,
      pricePerGpuHourMicros: providers.pricePerGpuHourMicros,
      pricePerCpuHourMicros: providers.pricePerCpuHourMicros,
      spotPercent: providers.spotPercent,
    })
    .from(providers)
    .where(
      and(
        anyOf(providers.id, ids),
        eq(providers.state, 'online'),
        eq(providers.availability, 'open'),
        sql`(${providers.restsUntil} is null or ${providers.restsUntil} <= now())`,
      ),
    )
    .orderBy(asc(providers.id))
    .for('no key update');
  return new Map(rows.map((row) => [row.id, row]));
}
export type OpenProvider = NonNullable<ReturnType<Awaited<ReturnType<typeof lockOpenProviders>>['get']>>;

/** What the tries on these machines take. Exact while the machines are locked. */
export async function listHoldingLeases(tx: Tx, ids: readonly ProviderId[]) {
  return await tx
    .select({
      providerId: leases.providerId,
      cpuMilli: leases.cpuMilli,
      memoryMib: leases.memoryMib,
      diskMib: leases.diskMib,
      gpuIds: leases.gpuIds,
      gpuMilli: leases.gpuMilli,
    })
    .from(leases)
    .where(and(anyOf(leases.providerId, ids), inArray(leases.state, holdingLeaseStates)));
}

/** Those of the cards that their machines have now. */
export async function listPresentGpus(tx: Tx, ids: readonly GpuId[]): Promise<Map<GpuId, ProviderId>> {
  if (ids.length === 0) return new Map();
  const rows = await tx
    .select({ id: gpus.id, providerId: gpus.providerId })
    .from(gpus)
    .where(and(anyOf(gpus.id, ids), eq(gpus.present, true)));
  return new Map(rows.map((row) => [row.id, row.providerId]));
}

/** What is written of a grant. */
export interface Grant {
  jobId: JobId;
  needs: JobNeeds;
  provider: OpenProvider;
  leaseId: LeaseId;
  gpuIds: GpuId[];
  pricePerHourMicros: bigint;
  message: string;
  data: Record<string, unknown>;
}

/**
 * queued → preparing, with the leases that are offered and the events that tell of it, in one statement. A job
 * that does not wait any more is left out. Offers die unanswered after `offerSeconds`.
 *
 * @returns the jobs for which it was written
 */
export async function writeGrants(
  tx: Tx,
  grants: readonly Grant[],
  offerSeconds: number,
): Promise<ReadonlySet<JobId>> {
  // In the order of ids, in which everybody locks several jobs.
  const rows = grants
    .map(({ jobId, provider, leaseId, gpuIds, pricePerHourMicros, message, data }) => ({
      job_id: jobId,
      lease_id: leaseId,
      provider_id: provider.id,
      price: String(pricePerHourMicros),
      gpu_ids: gpuIds,
      message,
      data,
    }))
    .toSorted((a, b) => (a.job_id < b.job_id ? -1 : 1));
  const { rows: written } = await tx.execute<{ id: JobId }>(sql`
    with asked as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as asked (
        job_id text, lease_id text, provider_id text, price bigint, gpu_ids text[], message text, data jsonb)
    ), assigned as (
      update jobs set state = 'preparing', lease_id = asked.lease_id, attempts = jobs.attempts + 1,
        event_seq = jobs.event_seq + 1
      from asked where jobs.id = asked.job_id and jobs.state = 'queued'
      returning asked.*, jobs.attempts, jobs.event_seq, jobs.gpu_milli, jobs.cpu_milli, jobs.memory_mib,
        jobs.disk_mib, jobs.class, jobs.checkpoint_id
    ), offered as (
      insert into leases (id, job_id, provider_id, attempt, price_per_hour_micros, gpu_ids, gpu_milli,
        cpu_milli, memory_mib, disk_mib, spot, resumed_from, expires_at)
      select lease_id, job_id, provider_id, attempts, price, gpu_ids, gpu_milli, cpu_milli, memory_mib, disk_mib,
        class = 'spot', checkpoint_id, now() + make_interval(secs => ${offerSeconds})
      from assigned
    ), told as (
      insert into job_events (job_id, seq, type, message, state, lease_id, data)
      select job_id, event_seq, 'matched', message, 'preparing', lease_id, data from assigned
    )
    select job_id as id from assigned`);
  return new Set(written.map(({ id }) => id));
}

function anyOf<T extends string>(
  column: typeof providers.id | typeof gpus.id | typeof leases.providerId,
  ids: readonly T[],
) {
  return sql`${column} = any(${sql.param([...ids])}::text[])`;
}
