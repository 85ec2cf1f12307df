import type { Db, Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import type { JobId } from '@computefabric/protocol/ids';
import { and, asc, eq, sql } from 'drizzle-orm';
import { mostAhead } from './expected-start.ts';
import type { JobNeeds } from './machine-view.ts';
import { needsColumns } from './market.store.ts';

/**
 * What the jobs ask for that have waited longer than this one, or all that wait; the first one first. One more
 * than can be counted through, so that a longer queue is told from a full one.
 */
export async function loadAhead(db: Db | Tx, jobId?: JobId): Promise<JobNeeds[]> {
  // Compared inside the database: the row's own moment has been rounded on its way through JavaScript.
  const own = db
    .select({ queuedAt: jobs.queuedAt, id: jobs.id })
    .from(jobs)
    .where(eq(jobs.id, jobId ?? 'job_'));
  return await db
    .select(needsColumns)
    .from(jobs)
    .where(
      and(
        eq(jobs.state, 'queued'),
        jobId === undefined ? undefined : sql`(${jobs.queuedAt}, ${jobs.id}) < (${own})`,
      ),
    )
    .orderBy(asc(jobs.queuedAt), asc(jobs.id))
    .limit(mostAhead + 1);
}
