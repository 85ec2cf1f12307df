import type { Db, Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import type { GroupId, JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import type { JobNeeds } from './machine-view.ts';
import { needsColumns, spoilersOf } from './market.store.ts';
import type { QueuedJob } from './queue/queued-job.ts';

/** Those of the named jobs that wait for a machine. */
export async function loadQueuedJobs(
  db: Db | Tx,
  ids: readonly JobId[],
  known: KnownNeeds = new KnownNeeds(),
): Promise<QueuedJob[]> {
  if (ids.length === 0) return [];
  const { rows } = await db.execute<QueuedRow>(sql`${selectQueued}
    where jobs.state = 'queued' and jobs.id = any(${sql.param([...ids])}::text[])`);
  return await toQueuedJobs(db, rows, known);
}

/** A page of the jobs that wait for a machine, longest waiting first, after the one named. */
export async function pageQueuedJobs(
  db: Db | Tx,
  after: JobId | null,
  limit: number,
  known: KnownNeeds = new KnownNeeds(),
): Promise<QueuedJob[]> {
  const behind =
    after === null
      ? sql``
      : sql`and (jobs.queued_at, jobs.id) > (select queued_at, id from jobs where id = ${after})`;
  const { rows } = await db.execute<QueuedRow>(sql`${selectQueued}
    where jobs.state = 'queued' ${behind} order by jobs.queued_at, jobs.id limit ${limit}`);
  return await toQueuedJobs(db, rows, known);
}

/** Kinds of needs that are remembered; a market sees far fewer at a time. */
const mostKnown = 20_000;

/**
 * What jobs need, by the database's own text of it. A hundred thousand jobs of a sweep need the same: reading the
 * eighteen columns of each of them was most of what reading the queue cost.
 */
export class KnownNeeds {
  readonly #byText = new Map<string, JobNeeds>();

  /** Reads the needs of these jobs that are not known yet: of one job for each text. */
  async learn(db: Db | Tx, rows: readonly { id: JobId; needs: string }[]): Promise<void> {
    const isUnknown = ({ needs }: { needs: string }) => !this.#byText.has(needs);
    const examples = new Map(rows.filter(isUnknown).map(({ id, needs }) => [needs, id]));
    if (examples.size === 0) return;
    if (this.#byText.size + examples.size > mostKnown) {
      this.#byText.clear();
      for (const { id, needs } of rows) examples.set(needs, id);
    }
    await this.#read(db, [...examples.values()]);
    // An example that has changed meanwhile says nothing of the others.
    const left = rows.filter(isUnknown);
    if (left.length > 0)
      await this.#read(
        db,
        left.map(({ id }) => id),
      );
  }

  async #read(db: Db | Tx, ids: readonly JobId[]): Promise<void> {
    const read = await db
      .select({ text: needsText, needs: needsColumns })
      .from(jobs)
      .where(sql`${jobs.id} = any(${sql.param([...ids])}::text[])`);
    for (const { text, needs } of read) this.#byText.set(text, needs);
  }

  of(text: string): JobNeeds | undefined {
    return this.#byText.get(text);
  }
}

const machineFaults = endReasonCodes.filter((reason) => endReasonRow(reason).requeue);

/** The machine of a job's last try when that failed for the machine's sake; asked only of jobs that have had one. */
const machineToAvoid = sql<ProviderId | null>`case when ${jobs.attempts} > 0 then (
  select case when last.end_reason in (${sql.join(
    machineFaults.map((reason) => sql`${reason}`),
    sql`, `,
  )}) then last.provider_id end
  from leases last where last.job_id = ${jobs.id} order by last.attempt desc limit 1) end`;

/** Machines with the job's state that are weighed; more would not be better. */
const mostKeepers = 8;

/** Who still has the state that the job's next try begins with; asked only of jobs that have one. */
const savedState = sql<QueuedJob['savedState']>`case when ${jobs.checkpointId} is not null then (
  select jsonb_build_object('bytes', size_bytes, 'on', keepers) from checkpoints, (
    select jsonb_agg(jsonb_build_object('providerId', provider_id, 'bytes', bytes)) as keepers from (
      select provider_id, bytes from kept_states
      where job_id = ${jobs.id} and counted_for = ${jobs.checkpointId} and bytes > 0
      order by bytes desc, provider_id limit ${mostKeepers}) most) kept
  where checkpoints.id = ${jobs.checkpointId} and keepers is not null) end`;

type QueuedRow = Omit<QueuedJob, 'needs' | 'gang'> & {
  needs: string;
  gangId: GroupId | null;
  gangSize: number | null;
  gangSpoiledBy: UserId[] | null;
};

/** Equal for jobs that need the same; never taken apart. */
const needsText = sql<string>`row(${sql.join(Object.values(needsColumns), sql`, `)})::text`;

const selectQueued = sql`select jobs.id, jobs.user_id as "userId", jobs.image, jobs.priority, ${needsText} as needs,
    (extract(epoch from jobs.queued_at) * 1000)::float8 as "queuedAtMs",
    greatest(0, coalesce(extract(epoch from jobs.not_before - now()) * 1000, 0))::float8 as "backoffMs",
    ${machineToAvoid} as avoid, ${savedState} as "savedState", gang.id as "gangId", gang.size as "gangSize",
    -- Of a gang that has never run nobody has spoiled anything.
    case when gang.id is not null and jobs.attempts > 0 then ${spoilersOf(sql`gang.id`)} end as "gangSpoiledBy"
  from jobs left join job_groups gang on gang.id = jobs.group_id and gang.kind = 'gang' `;

async function toQueuedJobs(
  db: Db | Tx,
  rows: readonly QueuedRow[],
  known: KnownNeeds,
): Promise<QueuedJob[]> {
  await known.learn(db, rows);
  return rows.flatMap(({ gangId, gangSize, gangSpoiledBy, needs: text, ...job }) => {
    const needs = known.of(text);
    // It has changed between the two readings, and whoever changed it has told the change feed.
    if (!needs) return [];
    const gang =
      gangId && gangSize ? { groupId: gangId, size: gangSize, spoiledBy: gangSpoiledBy ?? [] } : null;
    return [{ ...job, needs, gang }];
  });
}
