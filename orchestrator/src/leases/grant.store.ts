import type { Tx } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import type { GpuId, JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { holdingLeaseStates } from '@computefabric/protocol/lease-state';
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { JobRow } from '../jobs/job.store.ts';
import type { ProviderRow } from '../providers/provider.store.ts';

/* Grants are made for many jobs at once: each of these is one statement, whatever their number. */

/** Locks those of the jobs that wait, in the order of their ids. One that somebody else holds now is left out. */
export async function lockQueuedJobs(tx: Tx, ids: readonly JobId[]): Promise<Map<JobId, JobRow>> {
  const rows = await tx
    .select()
    .from(jobs)
    .where(and(anyOf(jobs.id, ids), eq(jobs.state, 'queued')))
    .orderBy(asc(jobs.id))
    .for('update', { skipLocked: true });
  return new Map(rows.map((row) => [row.id, row]));
}

/** Locks those of the machines that take work, in the order of their ids: nobody else gives out their room. */
export async function lockOpenProviders(
  tx: Tx,
  ids: readonly ProviderId[],
): Promise<Map<ProviderId, ProviderRow>> {
  const rows = await tx
    .select()
    .from(providers)
    .where(and(anyOf(providers.id, ids), eq(providers.state, 'online'), eq(providers.availability, 'open')))
    .orderBy(asc(providers.id))
    .for('no key update');
  return new Map(rows.map((row) => [row.id, row]));
}

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
  job: JobRow;
  provider: ProviderRow;
  leaseId: LeaseId;
  gpuIds: GpuId[];
  pricePerHourMicros: bigint;
  message: string;
  data: Record<string, unknown>;
}

/**
 * queued → preparing for locked jobs, with the leases that are offered and the events that tell of it, in one
 * statement. Offers die unanswered after `offerSeconds`.
 *
 * @returns how many; less than asked for means that a job did not wait any more
 */
export async function writeGrants(tx: Tx, grants: readonly Grant[], offerSeconds: number): Promise<number> {
  const rows = grants.map(({ job, provider, leaseId, gpuIds, pricePerHourMicros, message, data }) => ({
    job_id: job.id,
    lease_id: leaseId,
    provider_id: provider.id,
    price: String(pricePerHourMicros),
    gpu_ids: gpuIds,
    message,
    data,
  }));
  const { rows: written } = await tx.execute<{ count: number }>(sql`
    with asked as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as asked (
        job_id text, lease_id text, provider_id text, price bigint, gpu_ids text[], message text, data jsonb)
    ), assigned as (
      update jobs set state = 'preparing', lease_id = asked.lease_id, attempts = jobs.attempts + 1,
        event_seq = jobs.event_seq + 1
      from asked where jobs.id = asked.job_id and jobs.state = 'queued'
      returning jobs.*, asked.provider_id as asked_provider_id, asked.price as asked_price,
        asked.gpu_ids as asked_gpu_ids, asked.message as asked_message, asked.data as asked_data
    ), offered as (
      insert into leases (id, job_id, provider_id, attempt, price_per_hour_micros, gpu_ids, gpu_milli,
        cpu_milli, memory_mib, disk_mib, spot, resumed_from, expires_at)
      select lease_id, id, asked_provider_id, attempts, asked_price, asked_gpu_ids, gpu_milli, cpu_milli,
        memory_mib, disk_mib, class = 'spot', checkpoint_id, now() + make_interval(secs => ${offerSeconds})
      from assigned
    ), told as (
      insert into job_events (job_id, seq, type, message, state, lease_id, data)
      select id, event_seq, 'matched', asked_message, state, lease_id, asked_data from assigned
    )
    select count(*)::int as count from assigned`);
  return written[0]?.count ?? 0;
}

function anyOf<T extends string>(
  column: typeof jobs.id | typeof providers.id | typeof gpus.id | typeof leases.providerId,
  ids: readonly T[],
) {
  return sql`${column} = any(${sql.param([...ids])}::text[])`;
}
