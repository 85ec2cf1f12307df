import type { Db } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import type { GroupId, ProviderId } from '@computefabric/protocol/ids';
import { and, asc, eq, inArray, sql } from 'drizzle-orm';

/** What waits for a machine to hear of it. */
export interface Pending {
  /** Offers that it may still accept. */
  offers: boolean;
  /** Some try of it should stop and it has not been told. */
  untoldStop: boolean;
}

/** What waits for each of these machines, in their order; cheap, because mostly nothing does. */
export async function findPending(db: Db, providerIds: readonly ProviderId[]): Promise<Pending[]> {
  const { rows } = await db.execute<{ id: ProviderId; offers: boolean; untold: boolean }>(sql`
    select provider_id as id, bool_or(state = 'offered' and expires_at > now()) as offers,
      bool_or(state = 'active' and desired = 'stop' and desired_seen_at is null) as untold
    from leases where provider_id = any(${sql.param([...providerIds])}::text[]) and state in ('offered', 'active')
    group by provider_id`);
  const found = new Map(rows.map((row) => [row.id, row]));
  return providerIds.map((id) => {
    const row = found.get(id);
    return { offers: row?.offers ?? false, untoldStop: row?.untold ?? false };
  });
}

/** Offers that these machines may still accept, oldest first, with the job and the UUIDs of the GPUs. */
export async function findOpenOffers(db: Db, providerIds: readonly ProviderId[]) {
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
      and(
        inArray(leases.providerId, [...providerIds]),
        eq(leases.state, 'offered'),
        sql`${leases.expiresAt} > now()`,
      ),
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
