import 'server-only';

import type { Db } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { MachineView, Viewer } from '@/types/market-view.ts';
import { databaseNow } from './job-rows.ts';

/** The viewer's machines, oldest first, with what each works on and what it has earned. */
export async function listMachines(db: Db, viewer: Viewer): Promise<{ machines: MachineView[]; now: Date }> {
  const [now, rows, open, earned] = await Promise.all([
    databaseNow(db),
    db.query.providers.findMany({
      where: eq(providers.ownerId, viewer.userId),
      orderBy: asc(providers.id),
      with: { gpus: { where: eq(gpus.present, true), orderBy: asc(gpus.index) } },
    }),
    db
      .select({
        gpuIds: leases.gpuIds,
        providerId: leases.providerId,
        startedAt: leases.startedAt,
        jobId: jobs.id,
        image: jobs.image,
        state: jobs.state,
        renterId: jobs.userId,
      })
      .from(leases)
      .innerJoin(jobs, eq(jobs.id, leases.jobId))
      .innerJoin(providers, eq(providers.id, leases.providerId))
      .where(and(eq(providers.ownerId, viewer.userId), inArray(leases.state, ['offered', 'active'])))
      .orderBy(asc(leases.id)),
    db
      .select({ providerId: leases.providerId, total: sql`sum(${leases.earnedMicros})`.mapWith(BigInt) })
      .from(leases)
      .innerJoin(providers, eq(providers.id, leases.providerId))
      .where(eq(providers.ownerId, viewer.userId))
      .groupBy(leases.providerId),
  ]);
  const earnedBy = new Map(earned.map((row) => [row.providerId, row.total]));
  const jobOfGpu = new Map(open.flatMap((row) => row.gpuIds.map((id) => [id, row.jobId] as const)));
  return {
    now,
    machines: rows.map((machine) => ({
      id: machine.id,
      name: machine.name,
      state: machine.state,
      availability: machine.availability,
      availabilityReason: machine.availabilityReason,
      ownerNotice: machine.ownerNotice,
      availableAt: machine.availabilityUntil,
      vacateBy: machine.vacateBy,
      awayFrom: machine.awayFrom,
      awayUntil: machine.awayUntil,
      reliability: machine.reliabilityMilli / 1_000,
      agentVersion: machine.agentVersion,
      lastSeenAt: machine.lastSeenAt,
      cpus: machine.cpuMilli / 1_000,
      memoryMib: machine.memoryMib,
      gpus: machine.gpus.map((gpu) => ({
        id: gpu.id,
        name: gpu.name,
        memoryMib: gpu.memoryMib,
        simulated: gpu.simulated,
        jobId: jobOfGpu.get(gpu.id) ?? null,
      })),
      pricePerGpuHourMicros: machine.pricePerGpuHourMicros,
      pricePerCpuHourMicros: machine.pricePerCpuHourMicros,
      running: open
        .filter((row) => row.providerId === machine.id)
        .map((row) => ({
          jobId: row.jobId,
          image: row.image,
          state: row.state,
          startedAt: row.startedAt,
          isOwn: row.renterId === viewer.userId,
        })),
      earnedMicros: earnedBy.get(machine.id) ?? 0n,
      joinedAt: machine.createdAt,
    })),
  };
}
