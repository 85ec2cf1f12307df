import type { Db, Tx } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import type { JobId, LeaseId } from '@computefabric/protocol/ids';
import { and, asc, eq, isNotNull, lte, ne, sql } from 'drizzle-orm';
import type { JobRow } from '../jobs/job.store.ts';
import { meteredMs, type MeteredSpan } from '../metering/usage.ts';
import { affordableMs } from '../pricing/price.ts';
import type { LeaseRow } from './lease.store.ts';

/*
 * A job with a limit of its own (`max_cost`) costs no more than that, whatever happens: a bill takes what is left of
 * the limit at most, and the program is told to stop before it has run for longer than that pays for.
 */

type CappedJob = Pick<JobRow, 'id' | 'maxCostMicros' | 'holdMicros' | 'onCostLimit' | 'stopGraceSeconds'>;

/** What a job's limit leaves for this try, micros, all other tries' bills taken off; null without a limit. */
export async function leftForTry(tx: Tx, job: CappedJob, leaseId: LeaseId): Promise<bigint | null> {
  if (job.maxCostMicros === null) return null;
  const [row] = await tx
    .select({ micros: sql<string>`coalesce(sum(${leases.costMicros}), 0)` })
    .from(leases)
    .where(and(eq(leases.jobId, job.id), ne(leases.id, leaseId)));
  const spent = BigInt(row?.micros ?? 0);
  // Lowered, a limit is below the hold; and no limit makes a bill larger than what is reserved.
  const left = [job.maxCostMicros - spent, job.holdMicros - spent].reduce(smaller);
  return left > 0n ? left : 0n;
}

/** How long a try may still run before it must be told to stop, ms; null when its money lasts. Pure. */
export function msUntilMoneyStop(
  job: Pick<CappedJob, 'onCostLimit' | 'stopGraceSeconds'>,
  leftMicros: bigint,
  pricePerHourMicros: bigint,
  span: MeteredSpan,
): number | null {
  const payable = affordableMs(leftMicros, pricePerHourMicros);
  if (payable === null) return null;
  const graceMs = job.onCostLimit === 'checkpoint' ? job.stopGraceSeconds * 1_000 : 0;
  return Math.max(payable - graceMs - meteredMs({ ...span, timeLimitSeconds: Number.MAX_SAFE_INTEGER }), 0);
}

/** Sets the moment at which a running try must be told to stop; called when it starts and when its limit changes. */
export async function planMoneyStop(tx: Tx, job: CappedJob, lease: LeaseRow, now: Date): Promise<void> {
  const left = await leftForTry(tx, job, lease.id);
  const ms =
    left === null
      ? null
      : msUntilMoneyStop(job, left, lease.pricePerHourMicros, { ...lease, now, timeLimitSeconds: 0 });
  if (ms === null && lease.moneyStopAt === null) return;
  await tx
    .update(leases)
    .set({ moneyStopAt: ms === null ? null : new Date(now.getTime() + ms) })
    .where(and(eq(leases.id, lease.id), eq(leases.state, 'active'), eq(leases.desired, 'run')));
}

/** No more to be done about the money of a try: it was told to stop. */
export async function clearMoneyStop(tx: Tx, leaseId: LeaseId): Promise<void> {
  await tx.update(leases).set({ moneyStopAt: null }).where(eq(leases.id, leaseId));
}

/** Tries whose moment has come, longest overdue first. */
export async function findDueMoneyStops(db: Db, limit: number): Promise<{ id: LeaseId; jobId: JobId }[]> {
  return await db
    .select({ id: leases.id, jobId: leases.jobId })
    .from(leases)
    .where(lte(leases.moneyStopAt, sql`now()`))
    .orderBy(asc(leases.moneyStopAt))
    .limit(limit);
}

/** Until the next planned stop, at least 50 ms; null when none is planned. */
export async function nextMoneyStopMs(db: Db): Promise<number | null> {
  const [row] = await db
    .select({
      ms: sql<number | null>`(extract(epoch from min(${leases.moneyStopAt}) - now()) * 1000)::float8`,
    })
    .from(leases)
    .where(isNotNull(leases.moneyStopAt));
  return row?.ms === null || row?.ms === undefined ? null : Math.max(row.ms, 50);
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
