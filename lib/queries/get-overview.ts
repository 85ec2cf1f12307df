import 'server-only';

import type { Db } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { providers } from '@computefabric/db/schema/providers';
import { and, count, eq, isNotNull, isNull, sql } from 'drizzle-orm';
import type { OverviewView, Viewer } from '@/types/market-view.ts';
import { statesOfFilter } from '../job-filter.ts';
import { listAttention } from './list-attention.ts';
import { listJobs } from './list-jobs.ts';

const recentJobs = 8;

/** Everything on the first page, for this viewer. `now` is the database's clock. */
export async function getOverview(db: Db, viewer: Viewer): Promise<OverviewView & { now: Date }> {
  const [counts, burnPerHourMicros, spentThisMonthMicros, attention, recent] = await Promise.all([
    countJobs(db, viewer),
    burnPerHour(db, viewer),
    spentThisMonth(db, viewer),
    listAttention(db, viewer),
    listJobs(db, viewer, { filter: null, search: '', cursor: null }, recentJobs),
  ]);
  return {
    ...counts,
    burnPerHourMicros,
    spentThisMonthMicros,
    attention,
    recentJobs: recent.jobs,
    hasUnfinished: counts.runningNow + counts.queued > 0,
    now: recent.now,
  };
}

async function countJobs(db: Db, viewer: Viewer) {
  const running = sql.join(
    (statesOfFilter('running') ?? []).map((state) => sql`${state}`),
    sql`, `,
  );
  const failed = sql`${jobs.state} in ('failed', 'expired')`;
  const [row] = await db
    .select({
      runningNow: sql<number>`count(*) filter (where ${jobs.state} in (${running}))`.mapWith(Number),
      queued: sql<number>`count(*) filter (where ${jobs.state} = 'queued')`.mapWith(Number),
      oldestQueuedAt:
        sql<Date | null>`min(${jobs.createdAt}) filter (where ${jobs.state} = 'queued')`.mapWith(
          jobs.createdAt,
        ),
      jobsThisMonth:
        sql<number>`count(*) filter (where ${jobs.createdAt} >= date_trunc('month', now()))`.mapWith(Number),
      failuresToday:
        sql<number>`count(*) filter (where ${failed} and ${jobs.finishedAt} > now() - interval '24 hours')`.mapWith(
          Number,
        ),
      failuresYesterday: sql<number>`count(*) filter (where ${failed}
          and ${jobs.finishedAt} <= now() - interval '24 hours'
          and ${jobs.finishedAt} > now() - interval '48 hours')`.mapWith(Number),
    })
    .from(jobs)
    .where(eq(jobs.userId, viewer.userId));
  return (
    row ?? {
      runningNow: 0,
      queued: 0,
      oldestQueuedAt: null,
      jobsThisMonth: 0,
      failuresToday: 0,
      failuresYesterday: 0,
    }
  );
}

/** What all running programs of the viewer cost together, micros per hour. */
export async function burnPerHour(db: Db, viewer: Viewer): Promise<bigint> {
  const [row] = await db
    .select({ total: sql`coalesce(sum(${leases.pricePerHourMicros}), 0)`.mapWith(BigInt) })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(
      and(
        eq(jobs.userId, viewer.userId),
        eq(leases.state, 'active'),
        isNotNull(leases.startedAt),
        isNull(leases.exitedAt),
      ),
    );
  return row?.total ?? 0n;
}

async function spentThisMonth(db: Db, viewer: Viewer): Promise<bigint> {
  const [row] = await db
    .select({ total: sql`coalesce(sum(${payments.amountMicros}), 0)`.mapWith(BigInt) })
    .from(payments)
    .where(and(eq(payments.userId, viewer.userId), sql`${payments.settledAt} >= date_trunc('month', now())`));
  return row?.total ?? 0n;
}

/** Whether any machine could take a job now, whoever owns it: the market is open to all its members. */
export async function hasOnlineMachine(db: Db): Promise<boolean> {
  const [row] = await db.select({ machines: count() }).from(providers).where(eq(providers.state, 'online'));
  return (row?.machines ?? 0) > 0;
}
