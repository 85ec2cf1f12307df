import type { Db } from '@computefabric/db/client';
import { sql } from 'drizzle-orm';
import type { LeaseClaim } from './lease.store.ts';

/**
 * Starts the meter of an active try, moves its job to `running` and tells of it, all in one statement: a start
 * stands between a program and its first reader. Only for a call of the machine's current session, about a try
 * that has neither run out nor been started. The job is locked before the lease is looked at; one that changed
 * while that lock was waited for is judged as it is then.
 *
 * A job that was asked to stop meanwhile is finishing already and stays so.
 *
 * @returns false when it is none of these and nothing was changed: the call is to be looked at closely
 */
export async function startAtOnce(
  db: Db,
  claim: LeaseClaim & { session: number },
  { imageDigest, message }: { imageDigest: string | null; message: string },
): Promise<boolean> {
  const { leaseId, providerId, fence, session } = claim;
  const data = JSON.stringify({ image_digest: imageDigest });
  const { rows } = await db.execute(sql`
    with claimed as materialized (
      select l.id, j.max_cost_micros from leases l
      join jobs j on j.id = l.job_id
      join providers p on p.id = l.provider_id
      where l.id = ${leaseId} and l.provider_id = ${providerId} and l.fence = ${fence} and p.session = ${session}
      for no key update of j
    ), started as (
      update leases l set started_at = now(), image_digest = ${imageDigest}, task_state = 'running',
        -- Looked at at once by the worker that plans the stop of a job with a money limit.
        money_stop_at = case when claimed.max_cost_micros is null then null else now() end
      from claimed
      where l.id = claimed.id and l.state = 'active' and l.expires_at > now()
        and l.started_at is null and l.exited_at is null
      returning l.id, l.job_id
    ), running as (
      update jobs j set event_seq = j.event_seq + 1,
        state = case when j.lease_id = started.id and j.state = 'preparing' then 'running' else j.state end,
        started_at = case when j.lease_id = started.id and j.state = 'preparing'
          then coalesce(j.started_at, now()) else j.started_at end
      from started where j.id = started.job_id
      returning j.id, j.event_seq, j.state, started.id as lease_id
    ), told as (
      insert into job_events (job_id, seq, type, message, state, lease_id, data)
      select id, event_seq, 'started', ${message}, state, lease_id, ${data}::jsonb from running
    )
    select pg_notify('cf_job', id) from running`);
  return rows.length === 1;
}
