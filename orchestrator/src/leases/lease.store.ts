import type { Db, Tx } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import type { EndReason } from '@computefabric/protocol/end-reason';
import type { JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { leaseMachine, type LeaseState, openLeaseStates } from '@computefabric/protocol/lease-state';
import { invariant } from '@computefabric/runtime/invariant';
import { and, eq, inArray, isNull, sql } from 'drizzle-orm';

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
  to: Exclude<LeaseState, 'offered' | 'active' | 'released'>;
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
    .where(and(eq(leases.id, leaseId), inArray(leases.state, ['offered', 'active']), comingTo(end.to)))
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

/** Wants the lease stopped; the machine hears of it with its next heartbeat. False when it is not active. */
export async function desireStop(tx: Tx, leaseId: LeaseId): Promise<boolean> {
  const rows = await tx
    .update(leases)
    .set({ desired: 'stop', desiredSeenAt: null })
    .where(and(eq(leases.id, leaseId), eq(leases.state, 'active'), eq(leases.desired, 'run')))
    .returning({ id: leases.id });
  return rows.length === 1;
}

/** Writes an offer that dies unanswered after `offerSeconds`. */
export async function insertOffer(
  tx: Tx,
  offer: Pick<
    typeof leases.$inferInsert,
    'id' | 'jobId' | 'providerId' | 'attempt' | 'pricePerHourMicros' | 'gpuIds' | 'cpuMilli' | 'memoryMib'
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

/** What of a machine's cores and memory is given out. Exact only while the machine's row is locked. */
export async function sumOpenLeases(
  tx: Tx,
  providerId: ProviderId,
): Promise<{ cpuMilli: number; memoryMib: number }> {
  const [used] = await tx
    .select({
      cpuMilli: sql<number>`coalesce(sum(${leases.cpuMilli}), 0)::int`,
      memoryMib: sql<number>`coalesce(sum(${leases.memoryMib}), 0)::int`,
    })
    .from(leases)
    .where(and(eq(leases.providerId, providerId), inArray(leases.state, openLeaseStates)));
  invariant(used, 'a sum has a row');
  return used;
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
