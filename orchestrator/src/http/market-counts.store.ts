import type { Db } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { providers } from '@computefabric/db/schema/providers';
import { jobStates } from '@computefabric/protocol/job-state';
import { leaseStates } from '@computefabric/protocol/lease-state';
import { providerStates } from '@computefabric/protocol/provider-state';
import { and, count, eq, isNotNull, isNull, sql } from 'drizzle-orm';

type Counts = Record<string, number>;

export async function countJobs(db: Db): Promise<Counts> {
  const rows = await db.select({ key: jobs.state, n: count() }).from(jobs).groupBy(jobs.state);
  return everyState(jobStates, rows);
}

export async function countLeases(db: Db): Promise<Counts> {
  const rows = await db.select({ key: leases.state, n: count() }).from(leases).groupBy(leases.state);
  return everyState(leaseStates, rows);
}

export async function countProviders(db: Db): Promise<Counts> {
  const rows = await db.select({ key: providers.state, n: count() }).from(providers).groupBy(providers.state);
  return everyState(providerStates, rows);
}

/** Ended jobs without a settled bill: all, and those that ended more than a minute ago. */
export async function countUnsettled(db: Db): Promise<Counts> {
  const [row] = await db
    .select({
      any: count(),
      overAMinute: sql<number>`(count(*) filter (where ${jobs.finishedAt} < now() - interval '1 minute'))::int`,
    })
    .from(payments)
    .innerJoin(jobs, eq(jobs.id, payments.jobId))
    .where(and(isNull(payments.settledAt), isNotNull(jobs.finishedAt)));
  return { any: row?.any ?? 0, over_a_minute: row?.overAMinute ?? 0 };
}

/** A number for every state, so that one without rows shows 0 instead of nothing. */
function everyState(states: readonly string[], rows: readonly { key: string; n: number }[]): Counts {
  return Object.fromEntries(states.map((state) => [state, rows.find((row) => row.key === state)?.n ?? 0]));
}
