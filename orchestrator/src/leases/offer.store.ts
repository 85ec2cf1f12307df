import type { Db } from '@computefabric/db/client';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import type { GroupId, ProviderId } from '@computefabric/protocol/ids';
import { and, asc, eq, inArray, sql } from 'drizzle-orm';

/** What its machine is told of an offer; of the job and its group no more than that. */
const newsColumns = {
  lease: {
    id: leases.id,
    providerId: leases.providerId,
    fence: leases.fence,
    attempt: leases.attempt,
    gpuMilli: leases.gpuMilli,
    diskMib: leases.diskMib,
    spot: leases.spot,
    resumedFrom: leases.resumedFrom,
    pricePerHourMicros: leases.pricePerHourMicros,
  },
  job: {
    id: jobs.id,
    image: jobs.image,
    command: jobs.command,
    env: jobs.env,
    cpuMilli: jobs.cpuMilli,
    memoryMib: jobs.memoryMib,
    groupIndex: jobs.groupIndex,
    checkpoint: jobs.checkpoint,
    networkMode: jobs.networkMode,
    networkAllow: jobs.networkAllow,
    lostAfterSeconds: jobs.lostAfterSeconds,
    stopAfterSeconds: jobs.stopAfterSeconds,
    replaceWhenLost: jobs.replaceWhenLost,
    keepOnReturn: jobs.keepOnReturn,
    timeLimitSeconds: jobs.timeLimitSeconds,
    usedMs: jobs.usedMs,
    stopGraceSeconds: jobs.stopGraceSeconds,
  },
  hasLogin: sql<boolean>`exists (select 1 from registry_logins login where login.job_id = ${jobs.id})`,
  group: { id: jobGroups.id, kind: jobGroups.kind, size: jobGroups.size },
  /** Else it is a try that should stop, of which the machine has not been told. */
  isOffer: sql<boolean>`${leases.state} = 'offered'`,
  secondsLeft: sql<number>`extract(epoch from ${leases.expiresAt} - now())::float8`,
  gpuUuids: sql<
    string[]
  >`array(select card.uuid from unnest(${leases.gpuIds}) with ordinality as taken (id, place)
    join gpus card on card.id = taken.id order by taken.place)`,
};

/**
 * What these machines have yet to hear of: offers that they may still accept, oldest first, and tries that should
 * stop. One question for all of them, and mostly an empty answer.
 */
export async function findNews(db: Db, providerIds: readonly ProviderId[]) {
  return await db
    .select(newsColumns)
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .leftJoin(jobGroups, eq(jobGroups.id, jobs.groupId))
    .where(
      and(
        sql`${leases.providerId} = any(${sql.param([...providerIds])}::text[])`,
        inArray(leases.state, ['offered', 'active']),
        sql`(${leases.state} = 'offered' and ${leases.expiresAt} > now()
          or ${leases.state} = 'active' and ${leases.desired} = 'stop' and ${leases.desiredSeenAt} is null)`,
      ),
    )
    .orderBy(asc(leases.fence));
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
