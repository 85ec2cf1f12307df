import type { Db, Tx } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobEvents } from '@computefabric/db/schema/job-events';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { providers } from '@computefabric/db/schema/providers';
import { type GroupId, type JobId, jobId, type UserId } from '@computefabric/protocol/ids';
import type { JobState } from '@computefabric/protocol/job-state';
import type { PaymentState } from '@computefabric/protocol/payment-state';
import { invariant } from '@computefabric/runtime/invariant';
import { and, asc, desc, eq, gt, gte, ilike, inArray, isNull, like, lt, or, sql } from 'drizzle-orm';
import type { Channel } from '../background/signals.ts';
import { findMemberOf } from './group-reads.store.ts';
import type { JobRow } from './job.store.ts';

/*
 * What readers ask about jobs. Everything that a person may ask for names its owner in the query itself: a
 * job of somebody else is not there.
 */

/** Shortest beginning of an id that stands for the whole, `job_` included. */
const idPrefixChars = 8;

/**
 * A user's job by its id, its name, its place in a group (`sweep/3`), or the beginning of its id. `ambiguous`: more than one begins so.
 */
export async function findJobOf(
  db: Db | Tx,
  userId: UserId,
  ref: string,
): Promise<JobRow | 'ambiguous' | null> {
  const mine = eq(jobs.userId, userId);
  const isId = jobId.safeParse(ref).success;
  const [exact] = await db
    .select()
    .from(jobs)
    .where(and(mine, isId ? sql`${jobs.id} = ${ref}` : eq(jobs.name, ref)));
  if (exact) return exact;
  if (ref.includes('/')) return await findMemberOf(db, userId, ref);
  if (isId || ref.length < idPrefixChars || !/^job_[0-9a-z]*$/.test(ref)) return null;
  const found = await db
    .select()
    .from(jobs)
    .where(and(mine, like(jobs.id, `${escapeLike(ref)}%`)))
    .limit(2);
  return found.length > 1 ? 'ambiguous' : (found[0] ?? null);
}

/** A user's job by its id. */
export async function jobOf(db: Db | Tx, userId: UserId, id: JobId): Promise<JobRow | null> {
  const [row] = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.id, id), eq(jobs.userId, userId)));
  return row ?? null;
}

export interface JobFilter {
  limit: number;
  before: JobId | undefined;
  states: readonly JobState[] | undefined;
  /** Part of a name, an id or an image. */
  text: string | undefined;
  since: Date | undefined;
  /** Members of this group only; null: only jobs that are in none. */
  groupId?: GroupId | null | undefined;
}

/** A user's jobs, newest first. */
export async function listJobsOf(db: Db, userId: UserId, filter: JobFilter): Promise<JobRow[]> {
  const pattern = filter.text === undefined ? undefined : `%${escapeLike(filter.text)}%`;
  return await db
    .select()
    .from(jobs)
    .where(
      and(
        eq(jobs.userId, userId),
        filter.before === undefined ? undefined : lt(jobs.id, filter.before),
        filter.states === undefined ? undefined : inArray(jobs.state, [...filter.states]),
        filter.since === undefined ? undefined : gte(jobs.createdAt, filter.since),
        filter.groupId === undefined ? undefined : inGroup(filter.groupId),
        pattern === undefined
          ? undefined
          : or(ilike(jobs.name, pattern), ilike(jobs.image, pattern), like(jobs.id, pattern)),
      ),
    )
    .orderBy(desc(jobs.id))
    .limit(filter.limit);
}

function inGroup(groupId: GroupId | null) {
  return groupId === null ? isNull(jobs.groupId) : eq(jobs.groupId, groupId);
}

export type LeaseOfJob = Awaited<ReturnType<typeof listLeasesOf>>[number];

/** The tries of these jobs, oldest first, each with its machine's name. */
export async function listLeasesOf(db: Db | Tx, jobIds: readonly JobId[]) {
  if (jobIds.length === 0) return [];
  return await db
    .select({ lease: leases, providerName: providers.name })
    .from(leases)
    .innerJoin(providers, eq(providers.id, leases.providerId))
    .where(inArray(leases.jobId, [...jobIds]))
    .orderBy(asc(leases.jobId), asc(leases.attempt));
}

/** The GPUs that these tries had. */
export async function listGpusOf(db: Db | Tx, rows: readonly LeaseOfJob[]) {
  const ids = [...new Set(rows.flatMap((row) => row.lease.gpuIds))];
  if (ids.length === 0) return [];
  return await db
    .select({ id: gpus.id, name: gpus.name, simulated: gpus.simulated })
    .from(gpus)
    .where(inArray(gpus.id, ids));
}

/** State of each job's payment. */
export async function paymentStatesOf(
  db: Db | Tx,
  jobIds: readonly JobId[],
): Promise<ReadonlyMap<JobId, PaymentState>> {
  if (jobIds.length === 0) return new Map();
  const rows = await db
    .select({ jobId: payments.jobId, state: payments.state })
    .from(payments)
    .where(inArray(payments.jobId, [...jobIds]));
  return new Map(rows.map((row) => [row.jobId, row.state]));
}

export type JobEventRow = typeof jobEvents.$inferSelect;

/** A job's events after number `after`, oldest first. */
export async function listEventsOf(db: Db, id: JobId, after: number, limit: number): Promise<JobEventRow[]> {
  return await db
    .select()
    .from(jobEvents)
    .where(and(eq(jobEvents.jobId, id), gt(jobEvents.seq, after)))
    .orderBy(asc(jobEvents.seq))
    .limit(limit);
}

/** A job's state and its events after number `after`, oldest first: both of one moment. */
export async function readNews(
  db: Db,
  id: JobId,
  after: number,
  limit: number,
): Promise<{ state: JobState; events: JobEventRow[] }> {
  const rows = await db
    .select({ state: jobs.state, event: jobEvents })
    .from(jobs)
    .leftJoin(jobEvents, and(eq(jobEvents.jobId, jobs.id), gt(jobEvents.seq, after)))
    .where(eq(jobs.id, id))
    .orderBy(asc(jobEvents.seq))
    .limit(limit);
  const [first] = rows;
  invariant(first, `job ${id} is still there while it is read`);
  return { state: first.state, events: rows.flatMap(({ event }) => event ?? []) };
}

export type NewJob = typeof jobs.$inferInsert;

/** Whether the user's name is free for a new job, asked by inserting it: null when it is taken. */
export async function insertJob(tx: Tx, row: NewJob): Promise<JobRow | null> {
  const [inserted] = await tx
    .insert(jobs)
    .values(row)
    .onConflictDoNothing({ target: [jobs.userId, jobs.name] })
    .returning();
  return inserted ?? null;
}

/** What goes with a job that has just been inserted: its payment and first event, and signals when it commits. */
export async function insertSubmitted(
  tx: Tx,
  job: JobRow,
  submitted: {
    payment: Pick<typeof payments.$inferInsert, 'id' | 'currency'>;
    message: string;
    data: Record<string, unknown>;
    signal: Channel;
  },
): Promise<void> {
  const { payment, message, data, signal } = submitted;
  await tx.execute(sql`
    with paid as (
      insert into payments (id, job_id, user_id, currency, hold_micros)
      values (${payment.id}, ${job.id}, ${job.userId}, ${payment.currency}, ${job.holdMicros})
    ), told as (
      insert into job_events (job_id, seq, type, message, state, data)
      values (${job.id}, ${job.eventSeq}, 'submitted', ${message}, ${job.state}, ${JSON.stringify(data)}::jsonb)
    )
    select pg_notify('cf_job', ${job.id}), pg_notify(${signal}, ${job.id})`);
}

/** The text as itself in a LIKE pattern. */
function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}
