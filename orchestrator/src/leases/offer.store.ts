import type { Db } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import type { GroupId, ProviderId } from '@computefabric/protocol/ids';
import { and, asc, eq, inArray, sql } from 'drizzle-orm';

/** Offers that a machine may still accept, oldest first, with the job and the UUIDs of the GPUs. */
export async function findOpenOffers(db: Db, providerId: ProviderId) {
  const rows = await db
    .select({
      lease: leases,
      job: jobs,
      group: jobGroups,
      secondsLeft: sql<number>`extract(epoch from ${leases.expiresAt} - now())::float8`,
    })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .leftJoin(jobGroups, eq(jobGroups.id, jobs.groupId))
    .where(
      and(eq(leases.providerId, providerId), eq(leases.state, 'offered'), sql`${leases.expiresAt} > now()`),
    )
    .orderBy(asc(leases.fence));
  const gpuIds = rows.flatMap(({ lease }) => lease.gpuIds);
  const cards =
    gpuIds.length === 0
      ? []
      : await db.select({ id: gpus.id, uuid: gpus.uuid }).from(gpus).where(inArray(gpus.id, gpuIds));
  const uuidOf = new Map(cards.map((card) => [card.id, card.uuid]));
  return rows.map((row) => ({
    ...row,
    gpuUuids: row.lease.gpuIds.map((id) => uuidOf.get(id)).filter((uuid) => uuid !== undefined),
  }));
}

/** Names of the machines that the ranks of a gang are on now, by rank; null for one that is on none. */
export async function findPeers(db: Db, groupId: GroupId): Promise<(string | null)[]> {
  const rows = await db
    .select({ name: providers.name })
    .from(jobs)
    .leftJoin(leases, and(eq(leases.id, jobs.leaseId), inArray(leases.state, ['offered', 'active'])))
    .leftJoin(providers, eq(providers.id, leases.providerId))
    .where(eq(jobs.groupId, groupId))
    .orderBy(asc(jobs.groupIndex));
  return rows.map((row) => row.name);
}
