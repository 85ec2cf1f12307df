import type { Db, Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import type { CheckpointId, JobId } from '@computefabric/protocol/ids';
import { eq, or, sql } from 'drizzle-orm';
import type { JobRow } from './job.store.ts';

/*
 * A job that money has stopped may go on as another job. Each names the one before it, and no two the same.
 */

export interface JobLink {
  id: JobId;
  name: string;
}

/** The job that goes on from this one; null when none does. */
export async function findSuccessor(db: Db | Tx, id: JobId): Promise<JobLink | null> {
  const [row] = await db.select({ id: jobs.id, name: jobs.name }).from(jobs).where(eq(jobs.resumesId, id));
  return row ?? null;
}

/** The jobs before and after this one. */
export async function findNeighbours(
  db: Db | Tx,
  { id, resumesId }: Pick<JobRow, 'id' | 'resumesId'>,
): Promise<{ before: JobLink | null; after: JobLink | null }> {
  const rows = await db
    .select({ id: jobs.id, name: jobs.name, resumesId: jobs.resumesId })
    .from(jobs)
    .where(or(eq(jobs.resumesId, id), resumesId === null ? undefined : eq(jobs.id, resumesId)));
  const link = (row: (typeof rows)[number] | undefined) => (row ? { id: row.id, name: row.name } : null);
  return {
    before: link(rows.find((row) => row.id === resumesId)),
    after: link(rows.find((row) => row.resumesId === id)),
  };
}

/** What this job and all before it have cost together, micros. */
export async function spentOfChain(tx: Tx, id: JobId): Promise<bigint> {
  const { rows } = await tx.execute<{ micros: string }>(sql`
    with recursive chain as (
      select id, resumes_id from jobs where id = ${id}
      union all select j.id, j.resumes_id from jobs j join chain c on j.id = c.resumes_id
    )
    select coalesce(sum(l.cost_micros), 0) as micros from leases l join chain c on c.id = l.job_id`);
  return BigInt(rows[0]?.micros ?? 0);
}

/** The state that the first try of a new job begins with. */
export async function setFirstCheckpoint(tx: Tx, id: JobId, checkpointId: CheckpointId): Promise<void> {
  await tx.update(jobs).set({ checkpointId }).where(eq(jobs.id, id));
}
