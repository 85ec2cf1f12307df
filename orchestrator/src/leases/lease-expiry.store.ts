import type { Db, Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import type { JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { openLeaseStates } from '@computefabric/protocol/lease-state';
import { and, asc, eq, inArray, isNotNull, lte, sql } from 'drizzle-orm';
import { fromNow } from './lease.store.ts';

/* What time does to leases and waiting jobs; always by the database's clock. */

const isDue = and(inArray(leases.state, openLeaseStates), lte(leases.expiresAt, sql`now()`));

/** Open leases whose time is over, longest overdue first. */
export async function findDueLeases(db: Db, limit: number): Promise<{ id: LeaseId; jobId: JobId }[]> {
  return await db
    .select({ id: leases.id, jobId: leases.jobId })
    .from(leases)
    .where(isDue)
    .orderBy(asc(leases.expiresAt))
    .limit(limit);
}

/** Whether a lease is still due now that it is locked: a heartbeat may have come in between. */
export async function isLeaseDue(tx: Tx, leaseId: LeaseId): Promise<boolean> {
  const rows = await tx
    .select({ id: leases.id })
    .from(leases)
    .where(and(eq(leases.id, leaseId), isDue));
  return rows.length === 1;
}

/** Milliseconds until the next open lease runs out (0 when one is due); null when none is open. */
export async function nextLeaseExpiryMs(db: Db): Promise<number | null> {
  const [row] = await db
    .select({ ms: sql<number | null>`(extract(epoch from min(${leases.expiresAt}) - now()) * 1000)::float8` })
    .from(leases)
    .where(inArray(leases.state, openLeaseStates));
  return row?.ms === null || row?.ms === undefined ? null : Math.max(row.ms, 0);
}

const waitedTooLong = and(
  eq(jobs.state, 'queued'),
  isNotNull(jobs.queueTimeoutSeconds),
  sql`${jobs.queuedAt} + make_interval(secs => ${jobs.queueTimeoutSeconds}) <= now()`,
);

/** Queued jobs past their queue timeout. */
export async function findJobsWaitingTooLong(db: Db, limit: number): Promise<JobId[]> {
  const rows = await db.select({ id: jobs.id }).from(jobs).where(waitedTooLong).limit(limit);
  return rows.map(({ id }) => id);
}

/** Locks such a job, if it is one still. */
export async function lockJobWaitingTooLong(tx: Tx, jobId: JobId): Promise<boolean> {
  const rows = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(and(eq(jobs.id, jobId), waitedTooLong))
    .for('update');
  return rows.length === 1;
}

/** Leases whose program runs more than `overtimeSeconds` past its limit without having been told to stop. */
export async function findOvertimeLeases(
  db: Db,
  overtimeSeconds: number,
  limit: number,
): Promise<{ id: LeaseId; providerId: ProviderId }[]> {
  return await db
    .select({ id: leases.id, providerId: leases.providerId })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(
      and(
        eq(leases.state, 'active'),
        eq(leases.desired, 'run'),
        sql`${leases.exitedAt} is null`,
        sql`${leases.startedAt} + make_interval(secs => ${jobs.timeLimitSeconds} - ${jobs.usedMs} / 1000.0 + ${overtimeSeconds}) <= now()`,
      ),
    )
    .limit(limit);
}

/** Leases whose program should have ended by their `stop_by` more than `seconds` ago and has not. */
export async function findDisobedientLeases(
  db: Db,
  seconds: number,
  limit: number,
): Promise<{ id: LeaseId; jobId: JobId }[]> {
  return await db
    .select({ id: leases.id, jobId: leases.jobId })
    .from(leases)
    .where(
      and(
        eq(leases.state, 'active'),
        eq(leases.desired, 'stop'),
        sql`${leases.exitedAt} is null`,
        sql`${leases.stopBy} + make_interval(secs => ${seconds}) <= now()`,
      ),
    )
    .limit(limit);
}

/**
 * Gives every accepted lease a fresh term. For the start of an orchestrator: after a time in which none was
 * there to hear heartbeats, silence proves nothing, and a restart of ours must not kill jobs of theirs.
 */
export async function extendLeasesAfterRestart(db: Db, ttlSeconds: number): Promise<number> {
  const rows = await db
    .update(leases)
    .set({ expiresAt: sql`greatest(${leases.expiresAt}, ${fromNow(ttlSeconds)})` })
    .where(inArray(leases.state, ['active', 'silent', 'releasing']))
    .returning({ id: leases.id });
  return rows.length;
}
