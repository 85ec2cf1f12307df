import type { Db, Tx } from '@computefabric/db/client';
import type { CheckpointId, JobId, ProviderId } from '@computefabric/protocol/ids';
import type { KeptState } from '@computefabric/protocol/provider-api/v1/session';
import { sql } from 'drizzle-orm';

/*
 * Which machines still have saved state of a job. A machine names a checkpoint; how much of the job's next try that
 * is worth is counted here, from the chunks of both. A machine that says it has what it has not gains nothing but
 * jobs that it has had before, and then it has to fetch their state like any other.
 */

/**
 * Bytes that `held` has in common with `wanted`, of which it has `all`. Nothing, where one has been dropped: what was
 * in it is not known any more.
 */
function bytesInCommon(held: ReturnType<typeof sql>, wanted: ReturnType<typeof sql>) {
  return sql`(select least(next.size_bytes, case when ${held} = ${wanted} then next.size_bytes else (
      select coalesce(sum(object.size_bytes), 0) from checkpoint_chunks there
      join checkpoint_chunks needed on needed.key = there.key and needed.checkpoint_id = ${wanted}
      join stored_objects object on object.key = there.key
      where there.checkpoint_id = ${held}) end)
    from checkpoints next where next.id = ${wanted})`;
}

/**
 * A job's newest checkpoint is another one: what machines have of it is counted anew.
 *
 * @param keeper the machine that has just saved it and keeps it
 */
export async function recountKeptStates(
  tx: Tx,
  jobId: JobId,
  checkpointId: CheckpointId,
  keeper: ProviderId | null,
): Promise<void> {
  if (keeper !== null) {
    await tx.execute(sql`insert into kept_states (provider_id, job_id, checkpoint_id, counted_for, bytes)
      select ${keeper}, ${jobId}, id, id, size_bytes from checkpoints where id = ${checkpointId}
      on conflict (provider_id, job_id) do update
      set checkpoint_id = excluded.checkpoint_id, counted_for = excluded.counted_for, bytes = excluded.bytes`);
  }
  await tx.execute(sql`update kept_states kept
    set counted_for = ${checkpointId}, bytes = coalesce(${bytesInCommon(sql`kept.checkpoint_id`, sql`${checkpointId}`)}, 0)
    where kept.job_id = ${jobId} and kept.counted_for <> ${checkpointId}`);
}

/**
 * Takes in all that a machine says it keeps. What it has never had, or will not be needed again, is not listed.
 *
 * @returns the jobs of which it may keep nothing, and those that wait and of which something else is known now
 */
export async function replaceKeptStates(
  tx: Tx,
  providerId: ProviderId,
  named: readonly KeptState[],
): Promise<{ forget: JobId[]; changed: JobId[] }> {
  const { rows } = await tx.execute<{ jobId: JobId; isQueued: boolean }>(sql`
    with named as (select * from jsonb_to_recordset(${JSON.stringify(named)}::jsonb)
        as named (job_id text, checkpoint_id text))
    select distinct jobs.id as "jobId", jobs.state = 'queued' as "isQueued" from named
      join jobs on jobs.id = named.job_id and jobs.finished_at is null
      where exists (select 1 from leases try where try.job_id = jobs.id and try.provider_id = ${providerId})`);
  const wanted = new Set(rows.map(({ jobId }) => jobId));
  const queued = new Set(rows.filter(({ isQueued }) => isQueued).map(({ jobId }) => jobId));
  // Each job once, whatever the machine says.
  const kept = [...new Map(named.map((state) => [state.job_id, state])).values()].filter(({ job_id }) =>
    wanted.has(job_id),
  );
  const { rows: changed } = await tx.execute<{ jobId: JobId }>(sql`
    with named as (select * from jsonb_to_recordset(${JSON.stringify(kept)}::jsonb)
        as named (job_id text, checkpoint_id text)),
    gone as (delete from kept_states where provider_id = ${providerId}
        and job_id not in (select job_id from named) returning job_id),
    there as (insert into kept_states as kept (provider_id, job_id, checkpoint_id, counted_for, bytes)
      select ${providerId}, named.job_id, named.checkpoint_id, jobs.checkpoint_id,
        coalesce(${bytesInCommon(sql`named.checkpoint_id`, sql`jobs.checkpoint_id`)}, 0)
      from named join jobs on jobs.id = named.job_id
      where jobs.checkpoint_id is not null and not exists (select 1 from kept_states known
        where known.provider_id = ${providerId} and known.job_id = named.job_id
          and known.checkpoint_id = named.checkpoint_id and known.counted_for = jobs.checkpoint_id)
      on conflict (provider_id, job_id) do update
      set checkpoint_id = excluded.checkpoint_id, counted_for = excluded.counted_for, bytes = excluded.bytes
      returning job_id)
    select job_id as "jobId" from gone union select job_id from there`);
  return {
    forget: named.map(({ job_id }) => job_id).filter((id) => !wanted.has(id)),
    changed: changed.map(({ jobId }) => jobId).filter((id) => queued.has(id)),
  };
}

/** Forgets what machines have of jobs that are over: of those that are away, nobody tells. */
export async function dropStatesOfEnded(db: Db): Promise<void> {
  await db.execute(
    sql`delete from kept_states using jobs where jobs.id = kept_states.job_id and jobs.finished_at is not null`,
  );
}
