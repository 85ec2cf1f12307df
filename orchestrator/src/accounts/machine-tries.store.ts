import type { Db } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import { endReasonRow } from '@computefabric/protocol/end-reason';
import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { MachineTry } from '@computefabric/protocol/user-api/machines';
import { and, desc, eq, lt } from 'drizzle-orm';

type LeaseRow = typeof leases.$inferSelect;

/** What a machine was given, newest first, after the one named; whose machine it is has been checked. */
export async function listTriesOfMachine(
  db: Db,
  providerId: ProviderId,
  after: LeaseId | undefined,
  limit: number,
): Promise<LeaseRow[]> {
  return await db
    .select()
    .from(leases)
    .where(and(eq(leases.providerId, providerId), after === undefined ? undefined : lt(leases.id, after)))
    .orderBy(desc(leases.id))
    .limit(limit);
}

/** A try as the owner of its machine may see it. */
export function viewMachineTry(lease: LeaseRow): MachineTry {
  const row = lease.endReason === null ? null : endReasonRow(lease.endReason);
  return {
    lease_id: lease.id,
    job_id: lease.jobId,
    state: lease.state,
    gpus: lease.gpuIds.length,
    gpu_milli: lease.gpuMilli,
    cpus: lease.cpuMilli / 1_000,
    memory_mib: lease.memoryMib,
    spot: lease.spot,
    price_per_hour_micros: String(lease.pricePerHourMicros),
    offered_at: lease.offeredAt.toISOString(),
    started_at: lease.startedAt?.toISOString() ?? null,
    ended_at: lease.endedAt?.toISOString() ?? null,
    end_reason: lease.endReason,
    end_detail: lease.endDetail,
    exit_code: lease.exitCode,
    billed_ms: lease.billedMs,
    earned_micros: String(lease.earnedMicros),
    record: row?.countsForProvider ? 'for' : row?.countsAgainstProvider ? 'against' : 'nothing',
  };
}
