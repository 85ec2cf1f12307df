import type { Db } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import type { ProviderId, UserId } from '@computefabric/protocol/ids';
import { holdingLeaseStates } from '@computefabric/protocol/lease-state';
import type { Machine } from '@computefabric/protocol/user-api/machines';
import { and, asc, eq, inArray, sql } from 'drizzle-orm';

/** Machines that one person may list. */
const most = 1_000;

/** A user's machines, oldest first, with what they work on and what they have earned; or only the named one. */
export async function listMachinesOf(db: Db, ownerId: UserId, only?: ProviderId): Promise<Machine[]> {
  const rows = await db
    .select()
    .from(providers)
    .where(and(eq(providers.ownerId, ownerId), only === undefined ? undefined : eq(providers.id, only)))
    .orderBy(asc(providers.id))
    .limit(most);
  const ids = rows.map((row) => row.id);
  if (ids.length === 0) return [];
  const gpuRows = await db
    .select({ gpu: gpus, jobId: leases.jobId })
    .from(gpus)
    .leftJoin(
      leases,
      and(
        eq(leases.providerId, gpus.providerId),
        inArray(leases.state, holdingLeaseStates),
        sql`${gpus.id} = any(${leases.gpuIds})`,
      ),
    )
    .where(and(inArray(gpus.providerId, ids), eq(gpus.present, true)))
    .orderBy(asc(gpus.index));
  const running = await db
    .select({ providerId: leases.providerId, jobId: jobs.id, image: jobs.image, startedAt: leases.startedAt })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(and(inArray(leases.providerId, ids), inArray(leases.state, ['active', 'releasing'])))
    .orderBy(asc(leases.id));
  const earnings = await db
    .select({ providerId: leases.providerId, micros: sql<string>`sum(${leases.earnedMicros})::text` })
    .from(leases)
    .where(inArray(leases.providerId, ids))
    .groupBy(leases.providerId);
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    state: row.state,
    availability: row.availability,
    availability_reason: row.availabilityReason,
    owner_notice: row.ownerNotice,
    available_at: row.availabilityUntil?.toISOString() ?? null,
    vacate_by: row.vacateBy?.toISOString() ?? null,
    away_from: row.awayFrom?.toISOString() ?? null,
    away_until: row.awayUntil?.toISOString() ?? null,
    reliability: row.reliabilityMilli / 1_000,
    agent_version: row.agentVersion,
    last_seen_at: row.lastSeenAt?.toISOString() ?? null,
    cpus: row.cpuMilli / 1_000,
    memory_mib: row.memoryMib,
    gpus: gpuRows
      .filter(({ gpu }) => gpu.providerId === row.id)
      // A shared card has a row for each of its jobs.
      .filter(({ gpu }, index, rows) => rows.findIndex((other) => other.gpu.id === gpu.id) === index)
      .map(({ gpu, jobId }) => ({
        id: gpu.id,
        name: gpu.name,
        memory_mib: gpu.memoryMib,
        simulated: gpu.simulated,
        job_id: jobId,
      })),
    protection: {
      networks: row.networks,
      network_note: row.networkNote,
      disk_limited: row.diskLimited,
      disk_note: row.diskNote,
      sandbox: row.sandbox,
    },
    price_per_gpu_hour_micros: String(row.pricePerGpuHourMicros),
    price_per_cpu_hour_micros: String(row.pricePerCpuHourMicros),
    running: running
      .filter((lease) => lease.providerId === row.id)
      .map(({ jobId, image, startedAt }) => ({
        job_id: jobId,
        image,
        started_at: startedAt?.toISOString() ?? null,
      })),
    earned_micros: earnings.find((earning) => earning.providerId === row.id)?.micros ?? '0',
    created_at: row.createdAt.toISOString(),
  }));
}
