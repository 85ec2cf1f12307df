import type { Tx } from '@computefabric/db/client';
import { providers } from '@computefabric/db/schema/providers';
import type { GpuId, JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { holdingLeaseStates } from '@computefabric/protocol/lease-state';
import { and, asc, eq, sql } from 'drizzle-orm';
import { idsPerSignal } from '../background/signals.ts';
import type { JobNeeds } from '../matching/machine-view.ts';
import { ownerAccepts } from '../providers/owner-notice.store.ts';

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
      networks: providers.networks,
      pricePerGpuHourMicros: providers.pricePerGpuHourMicros,
      pricePerCpuHourMicros: providers.pricePerCpuHourMicros,
      spotPercent: providers.spotPercent,
    })
    .from(providers)
    .where(
      and(
        sql`${providers.id} = any(${sql.param([...ids])}::text[])`,
        eq(providers.state, 'online'),
        eq(providers.availability, 'open'),
        ownerAccepts,
        sql`(${providers.restsUntil} is null or ${providers.restsUntil} <= now())`,
      ),
    )
    .orderBy(asc(providers.id))
    .for('no key update');
  return new Map(rows.map((row) => [row.id, row]));
}
export type OpenProvider = NonNullable<ReturnType<Awaited<ReturnType<typeof lockOpenProviders>>['get']>>;

/** What a try takes of its machine. */
export interface HeldRoom {
  providerId: ProviderId;
  cpuMilli: number;
  memoryMib: number;
  diskMib: number;
  gpuIds: GpuId[];
  gpuMilli: number;
}

/**
 * What the tries on these machines take, and which of the cards their machines have now: in one statement of its
 * own, so that it sees what was true once the machines were locked.
 */
export async function readRooms(
  tx: Tx,
  providerIds: readonly ProviderId[],
  gpuIds: readonly GpuId[],
): Promise<{ held: HeldRoom[]; present: ReadonlyMap<GpuId, ProviderId> }> {
  const { rows } = await tx.execute<
    Omit<HeldRoom, 'gpuIds'> & { gpuIds: GpuId[] | null; card: GpuId | null }
  >(sql`
    select provider_id as "providerId", cpu_milli as "cpuMilli", memory_mib as "memoryMib", disk_mib as "diskMib",
      gpu_ids as "gpuIds", gpu_milli as "gpuMilli", null as card
    from leases where provider_id = any(${sql.param([...providerIds])}::text[]) and state in (${holding})
    union all
    select provider_id, 0, 0, 0, null, 0, id from gpus
    where id = any(${sql.param([...gpuIds])}::text[]) and present`);
  const held: HeldRoom[] = [];
  const present = new Map<GpuId, ProviderId>();
  for (const { card, ...row } of rows) {
    if (card !== null) present.set(card, row.providerId);
    else held.push({ ...row, gpuIds: row.gpuIds ?? [] });
  }
  return { held, present };
}

const holding = sql.join(
  holdingLeaseStates.map((state) => sql.raw(`'${state}'`)),
  sql`, `,
);

/** What is written of a grant. */
export interface Grant {
  jobId: JobId;
  needs: JobNeeds;
  provider: OpenProvider;
  leaseId: LeaseId;
  gpuIds: GpuId[];
  pricePerHourMicros: bigint;
  message: string;
}

/**
 * queued → preparing, with the leases that are offered, the events that tell of it and the signals to machines and
 * readers, in one statement. A job that does not wait any more is left out. Offers die unanswered after `offerSeconds`.
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
    .map(({ jobId, provider, leaseId, gpuIds, pricePerHourMicros, message }) => ({
      job_id: jobId,
      lease_id: leaseId,
      provider_id: provider.id,
      price: String(pricePerHourMicros),
      gpu_ids: gpuIds,
      message,
    }))
    .toSorted((a, b) => (a.job_id < b.job_id ? -1 : 1));
  const { rows: written } = await tx.execute<{ id: JobId }>(sql`
    with asked as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as asked (
        job_id text, lease_id text, provider_id text, price bigint, gpu_ids text[], message text)
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
      select job_id, event_seq, 'matched', message, 'preparing', lease_id,
        jsonb_build_object('provider_id', provider_id, 'price_per_hour_micros', price::text)
      from assigned
    ), signals as (
      select count(pg_notify('cf_job', job_ids)) from (
        select string_agg(job_id, ' ') as job_ids from (
          select job_id, row_number() over () / ${idsPerSignal}::int as part from assigned) parts group by part) told_of
      union all
      select count(pg_notify('cf_provider', provider_ids)) from (
        select string_agg(provider_id, ' ') as provider_ids from (
          select provider_id, row_number() over () / ${idsPerSignal}::int as part
          from (select distinct provider_id from assigned) machines) parts group by part) told_of
    )
    select job_id as id from assigned, (select sum(count) from signals) sent`);
  return new Set(written.map(({ id }) => id));
}
