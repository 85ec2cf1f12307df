import type { Db, Tx } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import type { EndReason } from '@computefabric/protocol/end-reason';
import type { GpuId, JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import {
  holdingLeaseStates,
  leaseMachine,
  type LeaseState,
  type StopReason,
} from '@computefabric/protocol/lease-state';
import { invariant } from '@computefabric/runtime/invariant';
import { and, desc, eq, inArray, isNotNull, isNull, sql } from 'drizzle-orm';

/*
 * Locks are always taken in the order job → lease → GPUs. Every change is guarded by the states it may come
 * from; what a machine asks for is guarded by its id and the fence as well.
 */

export type LeaseRow = typeof leases.$inferSelect;

/** Who is asking about which try. */
export interface LeaseClaim {
  leaseId: LeaseId;
  providerId: ProviderId;
  fence: number;
}

/** The lease if it was ever given to this machine; not locked. */
export async function findLease(
  db: Db | Tx,
  leaseId: LeaseId,
  providerId: ProviderId,
): Promise<LeaseRow | null> {
  const [row] = await db
    .select()
    .from(leases)
    .where(and(eq(leases.id, leaseId), eq(leases.providerId, providerId)));
  return row ?? null;
}

/** A lease by its id; not locked. */
export async function findLeaseById(db: Db | Tx, leaseId: LeaseId): Promise<LeaseRow | null> {
  const [row] = await db.select().from(leases).where(eq(leases.id, leaseId));
  return row ?? null;
}

/** Locks a lease's row for the rest of the transaction. The job's row must be locked already. */
export async function lockLease(tx: Tx, leaseId: LeaseId): Promise<LeaseRow | null> {
  const [row] = await tx.select().from(leases).where(eq(leases.id, leaseId)).for('update');
  return row ?? null;
}

/** offered → active, alive for `ttlSeconds`; null when the offer is no longer this machine's to take. */
export async function activateLease(tx: Tx, claim: LeaseClaim, ttlSeconds: number): Promise<LeaseRow | null> {
  const [row] = await tx
    .update(leases)
    .set({ state: 'active', acceptedAt: sql`now()`, expiresAt: fromNow(ttlSeconds) })
    .where(and(isClaim(claim), comingTo('active'), sql`${leases.expiresAt} > now()`))
    .returning();
  return row ?? null;
}

/**
 * offered → active for many claims in one statement, each with its event in the job's history, alive for the
 * lease time or as long as the job bears a silence. Only for calls of the machine's current session. Jobs are
 * locked first, in the order of their ids; a lease that changed while its job's lock was waited for is looked at
 * again as it is then.
 *
 * @returns the leases that were activated; the others' claims are to be looked at one by one
 */
export async function activateLeases(
  db: Db | Tx,
  claims: readonly (LeaseClaim & { session: number })[],
  { ttlSeconds, message }: { ttlSeconds: number; message: string },
): Promise<ReadonlySet<LeaseId>> {
  const leaseIds = sql`${sql.param(claims.map(({ leaseId }) => leaseId))}::text[]`;
  const { rows } = await db.execute<{ id: LeaseId }>(sql`
    with asked as (
      select * from unnest(${leaseIds}, ${sql.param(claims.map(({ providerId }) => providerId))}::text[],
        ${sql.param(claims.map(({ fence }) => fence))}::bigint[],
        ${sql.param(claims.map(({ session }) => session))}::bigint[]) as asked (lease_id, provider_id, fence, session)
    ), locked as materialized (
      select id, lost_after_seconds from jobs where id = any(array(
        select job_id from leases where id = any(${leaseIds}))) order by id for no key update
    ), accepted as (
      update leases l set state = 'active', accepted_at = now(),
        expires_at = now() + make_interval(secs => greatest(${ttlSeconds}::int, coalesce(j.lost_after_seconds, 0)))
      from asked, locked j, providers p
      where l.id = asked.lease_id and l.provider_id = asked.provider_id and l.fence = asked.fence
        and l.state = 'offered' and l.expires_at > now() and j.id = l.job_id
        and p.id = l.provider_id and p.session = asked.session
      returning l.id as lease_id, l.job_id
    ), numbered as (
      update jobs set event_seq = event_seq + 1 from accepted where jobs.id = accepted.job_id
      returning jobs.id as job_id, jobs.event_seq, jobs.state, accepted.lease_id
    ), told as (
      insert into job_events (job_id, seq, type, message, state, lease_id, data)
      select job_id, event_seq, 'accepted', ${message}, state, lease_id, '{}' from numbered
    )
    select lease_id as id, pg_notify('cf_job', job_id) from accepted`);
  return new Set(rows.map(({ id }) => id));
}

/** Starts the meter of an active lease, once. */
export async function markStarted(
  tx: Tx,
  claim: LeaseClaim,
  imageDigest: string | null,
): Promise<LeaseRow | null> {
  const [row] = await tx
    .update(leases)
    .set({ startedAt: sql`now()`, imageDigest, taskState: 'running' })
    .where(and(isClaim(claim), eq(leases.state, 'active'), isNull(leases.startedAt), isNull(leases.exitedAt)))
    .returning();
  return row ?? null;
}

/** Stops the meter of an active lease, once. */
export async function markExited(
  tx: Tx,
  claim: LeaseClaim,
  exitCode: number | null,
): Promise<LeaseRow | null> {
  const [row] = await tx
    .update(leases)
    .set({ exitedAt: sql`now()`, exitCode, taskState: 'saving' })
    .where(and(isClaim(claim), eq(leases.state, 'active'), isNull(leases.exitedAt)))
    .returning();
  return row ?? null;
}

export interface LeaseEnd {
  to: Exclude<LeaseState, 'offered' | 'active' | 'silent' | 'released'>;
  reason: EndReason;
  detail: string | null;
  exitCode: number | null;
  billedMs: number;
  costMicros: bigint;
  earnedMicros: bigint;
  /** How long the machine has to say that everything is removed. */
  releaseSeconds: number;
}

/** Ends a lease with its reason and its final bill; null when it had ended already. */
export async function closeLease(tx: Tx, leaseId: LeaseId, end: LeaseEnd): Promise<LeaseRow | null> {
  const [row] = await tx
    .update(leases)
    .set({
      state: end.to,
      endedAt: sql`now()`,
      exitedAt: sql`case when ${leases.startedAt} is null then null else coalesce(${leases.exitedAt}, now()) end`,
      endReason: end.reason,
      endDetail: end.detail,
      exitCode: end.exitCode,
      billedMs: end.billedMs,
      costMicros: end.costMicros,
      earnedMicros: end.earnedMicros,
      expiresAt: fromNow(end.releaseSeconds),
    })
    .where(
      and(eq(leases.id, leaseId), inArray(leases.state, ['offered', 'active', 'silent']), comingTo(end.to)),
    )
    .returning();
  return row ?? null;
}

/** releasing → released (or lost, when the machine never said so); false when it was neither. */
export async function releaseLease(tx: Tx, leaseId: LeaseId, to: 'released' | 'lost'): Promise<boolean> {
  const rows = await tx
    .update(leases)
    .set({ state: to, releasedAt: sql`now()`, taskState: 'reported' })
    .where(and(eq(leases.id, leaseId), eq(leases.state, 'releasing')))
    .returning({ id: leases.id });
  return rows.length === 1;
}

/**
 * Wants the lease stopped, for this reason; the machine hears of it with its next heartbeat. The first wish
 * stays. False when it is not active or is to stop already.
 *
 * @param withinSeconds by when its program must have ended; null leaves that to the job's grace time
 */
export async function desireStop(
  tx: Tx,
  leaseId: LeaseId,
  reason: StopReason,
  withinSeconds: number | null = null,
): Promise<boolean> {
  const rows = await tx
    .update(leases)
    .set({
      desired: 'stop',
      stopReason: reason,
      stopBy: withinSeconds === null ? null : fromNow(withinSeconds),
      desiredSeenAt: null,
    })
    .where(and(eq(leases.id, leaseId), eq(leases.state, 'active'), eq(leases.desired, 'run')))
    .returning({ id: leases.id });
  return rows.length === 1;
}

/** Writes an offer that dies unanswered after `offerSeconds`. */
export async function insertOffer(
  tx: Tx,
  offer: Pick<
    typeof leases.$inferInsert,
    | 'id'
    | 'jobId'
    | 'providerId'
    | 'attempt'
    | 'pricePerHourMicros'
    | 'gpuIds'
    | 'gpuMilli'
    | 'cpuMilli'
    | 'memoryMib'
    | 'diskMib'
    | 'spot'
    | 'resumedFrom'
  >,
  offerSeconds: number,
): Promise<LeaseRow> {
  const [row] = await tx
    .insert(leases)
    .values({ ...offer, expiresAt: fromNow(offerSeconds) })
    .returning();
  invariant(row, 'an inserted lease has a row');
  return row;
}

/** What the open leases of a machine take of it. Exact only while the machine's row is locked. */
export async function sumOpenLeases(
  tx: Tx,
  providerId: ProviderId,
): Promise<{ cpuMilli: number; memoryMib: number; diskMib: number; gpuMilli: Map<GpuId, number> }> {
  const rows = await tx
    .select({
      cpuMilli: leases.cpuMilli,
      memoryMib: leases.memoryMib,
      diskMib: leases.diskMib,
      gpuIds: leases.gpuIds,
      gpuMilli: leases.gpuMilli,
    })
    .from(leases)
    .where(and(eq(leases.providerId, providerId), inArray(leases.state, holdingLeaseStates)));
  const gpuMilli = new Map<GpuId, number>();
  for (const row of rows) {
    for (const id of row.gpuIds) gpuMilli.set(id, (gpuMilli.get(id) ?? 0) + row.gpuMilli);
  }
  return {
    cpuMilli: rows.reduce((sum, row) => sum + row.cpuMilli, 0),
    memoryMib: rows.reduce((sum, row) => sum + row.memoryMib, 0),
    diskMib: rows.reduce((sum, row) => sum + row.diskMib, 0),
    gpuMilli,
  };
}

/** Tries of a job that ended for one of these reasons. */
export async function countTriesEndedBy(
  tx: Tx,
  jobId: JobId,
  reasons: readonly EndReason[],
): Promise<number> {
  const [row] = await tx
    .select({ count: sql<number>`count(*)::int` })
    .from(leases)
    .where(and(eq(leases.jobId, jobId), inArray(leases.endReason, reasons)));
  return row?.count ?? 0;
}

/** The tries of a job that are over, latest first. */
export async function pastTries(
  tx: Tx,
  jobId: JobId,
  limit: number,
): Promise<{ reason: EndReason; ranMs: number }[]> {
  const rows = await tx
    .select({
      reason: leases.endReason,
      ranMs: sql<number>`coalesce(extract(epoch from ${leases.exitedAt} - ${leases.startedAt}) * 1000, 0)::float8`,
    })
    .from(leases)
    .where(and(eq(leases.jobId, jobId), isNotNull(leases.endReason)))
    .orderBy(desc(leases.attempt))
    .limit(limit);
  return rows.flatMap(({ reason, ranMs }) => (reason === null ? [] : [{ reason, ranMs }]));
}

/** A moment on the database's clock, some seconds from now. */
export function fromNow(seconds: number) {
  return sql`now() + make_interval(secs => ${seconds})`;
}

function isClaim(claim: LeaseClaim) {
  return and(
    eq(leases.id, claim.leaseId),
    eq(leases.providerId, claim.providerId),
    eq(leases.fence, claim.fence),
  );
}

function comingTo(state: LeaseState) {
  return inArray(leases.state, leaseMachine.sourcesOf(state));
}
