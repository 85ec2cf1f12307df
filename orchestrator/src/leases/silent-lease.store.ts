import type { Db, Tx } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import type { JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { and, eq, sql } from 'drizzle-orm';
import { fromNow } from './lease.store.ts';

/** What the door asks about a call that names a try. */
export interface ClaimStanding {
  /** The machine's session; null when there is no such machine. */
  session: number | null;
  /** The try is silent, or has run out and nobody has looked yet. */
  unheardOf: boolean;
}

/** The same for many calls, in their order. */
export async function findClaimStandings(
  db: Db,
  calls: readonly { providerId: ProviderId; leaseId: LeaseId }[],
): Promise<ClaimStanding[]> {
  const { rows } = await db.execute<{ session: string | null; unheard_of: boolean }>(sql`
    select p.session, coalesce(l.state = 'silent' or l.state = 'active' and l.expires_at <= now(), false) as unheard_of
    from unnest(${sql.param(calls.map(({ providerId }) => providerId))}::text[],
      ${sql.param(calls.map(({ leaseId }) => leaseId))}::text[]) with ordinality as call (provider_id, lease_id, place)
    left join providers p on p.id = call.provider_id
    left join leases l on l.id = call.lease_id
    order by call.place`);
  return rows.map((row) => ({
    session: row.session === null ? null : Number(row.session),
    unheardOf: row.unheard_of,
  }));
}

/** Whether some try of the job is silent. */
export async function hasSilentLease(tx: Tx, jobId: JobId): Promise<boolean> {
  const rows = await tx
    .select({ id: leases.id })
    .from(leases)
    .where(and(eq(leases.jobId, jobId), eq(leases.state, 'silent')))
    .limit(1);
  return rows.length > 0;
}

/**
 * active → silent, since its machine was last heard of; false when it was not active.
 *
 * @param termSeconds how long the lease was alive after each heartbeat
 * @param waitSeconds how long its return is waited for
 */
export async function silenceLease(
  tx: Tx,
  leaseId: LeaseId,
  { termSeconds, waitSeconds }: { termSeconds: number; waitSeconds: number },
): Promise<boolean> {
  const rows = await tx
    .update(leases)
    .set({
      state: 'silent',
      silentAt: sql`${leases.expiresAt} - make_interval(secs => ${termSeconds})`,
      expiresAt: fromNow(waitSeconds),
    })
    .where(and(eq(leases.id, leaseId), eq(leases.state, 'active')))
    .returning({ id: leases.id });
  return rows.length === 1;
}

/** silent → active, alive for another term; what of the silence fell into the run is remembered. */
export async function returnLease(tx: Tx, leaseId: LeaseId, termSeconds: number): Promise<boolean> {
  const silentMs = sql`case when ${leases.startedAt} is null or ${leases.exitedAt} < ${leases.silentAt} then 0 else
    greatest(0, extract(epoch from coalesce(${leases.exitedAt}, now())
      - greatest(${leases.silentAt}, ${leases.startedAt})) * 1000)::bigint end`;
  const rows = await tx
    .update(leases)
    .set({
      state: 'active',
      silentMs: sql`${leases.silentMs} + ${silentMs}`,
      silentAt: null,
      expiresAt: fromNow(termSeconds),
    })
    .where(and(eq(leases.id, leaseId), eq(leases.state, 'silent')))
    .returning({ id: leases.id });
  return rows.length === 1;
}

/** Gives up the silent tries of a job that is over; gives their machines. Nothing of them is billed. */
export async function loseSilentLeases(tx: Tx, jobId: JobId): Promise<ProviderId[]> {
  const rows = await tx
    .update(leases)
    .set({
      state: 'lost',
      endedAt: sql`now()`,
      exitedAt: sql`case when ${leases.startedAt} is null then null else coalesce(${leases.exitedAt}, now()) end`,
      endReason: 'provider-lost',
    })
    .where(and(eq(leases.jobId, jobId), eq(leases.state, 'silent')))
    .returning({ providerId: leases.providerId });
  return rows.map(({ providerId }) => providerId);
}
