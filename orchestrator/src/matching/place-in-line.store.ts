import type { Db, Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import type { JobId } from '@computefabric/protocol/ids';
import type { JobClass } from '@computefabric/protocol/job-class';
import { and, asc, count, eq, type SQL, sql } from 'drizzle-orm';
import { mostAhead } from './expected-start.ts';
import type { JobNeeds } from './machine-view.ts';
import { needsColumns } from './market.store.ts';
import { orderSeconds } from './queue/queued-job.ts';

/** Where a job stands among those that wait, by priority and time of waiting. */
export interface Place {
  /** From 1. */
  position: number;
  /** What those before it ask for, the first one first; one more than can be counted through, at most. */
  ahead: JobNeeds[];
}

/** The place of a job that waits. */
export async function placeOf(db: Db | Tx, jobId: JobId): Promise<Place> {
  // Compared inside the database: the row's own moment has been rounded on its way through JavaScript.
  const own = db.select({ key: orderKey, id: jobs.id }).from(jobs).where(eq(jobs.id, jobId));
  return await before(db, sql`(${orderKey}, ${jobs.id}) < (${own})`);
}

/** The place that a job would have that was submitted now. */
export async function placeOfNext(db: Db | Tx, job: { class: JobClass; priority: number }): Promise<Place> {
  return await before(db, sql`${orderKey} <= now() + make_interval(secs => ${orderSeconds(job)})`);
}

async function before(db: Db | Tx, condition: SQL): Promise<Place> {
  const isBefore = and(eq(jobs.state, 'queued'), condition);
  const [row] = await db.select({ ahead: count() }).from(jobs).where(isBefore);
  const ahead = await db
    .select(needsColumns)
    .from(jobs)
    .where(isBefore)
    .orderBy(asc(orderKey), asc(jobs.id))
    .limit(mostAhead + 1);
  return { position: (row?.ahead ?? 0) + 1, ahead };
}

/** The matcher's order among the jobs of an account, as the database computes it. */
const orderKey = sql`${jobs.queuedAt} + make_interval(secs =>
  ${jobs.priority} * ${orderSeconds({ class: 'on-demand', priority: 1 })}::int
  + case when ${jobs.class} = 'spot' then ${orderSeconds({ class: 'spot', priority: 0 })}::int else 0 end)`;
