import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import type { JobId, LeaseId } from '@computefabric/protocol/ids';
import { openLeaseStates } from '@computefabric/protocol/lease-state';
import { and, asc, eq, inArray, lte, sql } from 'drizzle-orm';
import { notify, type Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { endJob } from '../jobs/end-job.ts';
import { lockJob } from '../jobs/job.store.ts';
import { markSilentProvidersOffline } from '../providers/provider.store.ts';
import { endLease } from './end-lease.ts';
import { desireStop, freeGpus, lockLease, releaseLease } from './lease.store.ts';
import type { LeaseDeps } from './lease-deps.ts';

/** Rows handled in one pass before looking again; bounds the time of a pass. */
const batch = 100;
/** Between two looks when nothing is due sooner. */
const longestSleepMs = 5_000;
/** A machine gets this much beyond the time limit to stop a program by itself before it is told to. */
const overtimeSeconds = 15;

/**
 * Ends what time has ended, on the database's clock: unanswered offers, leases whose machine fell silent,
 * clean-ups that never came, jobs that waited too long, programs past their limit. Leases go first and
 * machines second, so that jobs move on before anyone judges the machine.
 */
export function startExpiryWorker(deps: LeaseDeps & { signals: Signals }): Worker {
  const worker = startWorker({
    name: 'expire-leases',
    log: deps.log,
    everyMs: longestSleepMs,
    pass: async () => {
      const due = await deps.db
        .select({ id: leases.id, jobId: leases.jobId })
        .from(leases)
        .where(and(inArray(leases.state, openLeaseStates), lte(leases.expiresAt, sql`now()`)))
        .orderBy(asc(leases.expiresAt))
        .limit(batch);
      for (const lease of due) await expireLease(deps, lease.jobId, lease.id);
      await expireWaitingJobs(deps);
      await stopOvertime(deps);
      await markSilentProvidersOffline(deps.db, deps.settings.leaseTtlSeconds);
      return due.length === batch ? 0 : await nextExpiryMs(deps);
    },
  });
  // A new offer may be due before the next look.
  const off = deps.signals.on('cf_provider', () => worker.wake());
  return {
    wake: () => worker.wake(),
    close: async () => {
      off();
      await worker.close();
    },
  };
}

/** Ends one lease whose time is over, if it still is under lock. */
export async function expireLease(deps: LeaseDeps, jobId: JobId, leaseId: LeaseId): Promise<void> {
  await deps.db.transaction(async (tx) => {
    const job = await lockJob(tx, jobId);
    const lease = await lockLease(tx, leaseId);
    if (!job || !lease) return;
    const [late] = await tx
      .select({ id: leases.id })
      .from(leases)
      .where(and(eq(leases.id, leaseId), lte(leases.expiresAt, sql`now()`)));
    if (!late) return; // a heartbeat came between the look and the lock
    switch (lease.state) {
      case 'offered':
        await endLease(tx, deps.settings, { job, lease, to: 'expired', reason: 'offer-expired' });
        break;
      case 'active':
        await endLease(tx, deps.settings, { job, lease, to: 'lost', reason: 'provider-lost' });
        break;
      case 'releasing':
        if (await releaseLease(tx, lease.id, 'lost')) {
          await freeGpus(tx, lease.id);
          await notify(tx, 'cf_queue');
        }
        break;
      case 'released':
      case 'rejected':
      case 'withdrawn':
      case 'expired':
      case 'lost':
        return;
    }
    deps.log.info({ lease_id: leaseId, job_id: jobId, was: lease.state }, 'lease ran out');
  });
}

async function expireWaitingJobs(deps: LeaseDeps): Promise<void> {
  const tooLate = and(
    eq(jobs.state, 'queued'),
    sql`${jobs.queuedAt} + make_interval(secs => ${jobs.queueTimeoutSeconds}) <= now()`,
  );
  const waited = await deps.db.select({ id: jobs.id }).from(jobs).where(tooLate).limit(batch);
  for (const { id } of waited) {
    await deps.db.transaction(async (tx) => {
      const [still] = await tx
        .select({ id: jobs.id })
        .from(jobs)
        .where(and(eq(jobs.id, id), tooLate))
        .for('update');
      if (still) await endJob(tx, { jobId: id, reason: 'no-match-in-time' });
    });
  }
}

/** A machine that lets a program run past its limit is told to stop it; the bill stops at the limit anyway. */
async function stopOvertime(deps: LeaseDeps): Promise<void> {
  const over = await deps.db
    .select({ id: leases.id, providerId: leases.providerId })
    .from(leases)
    .innerJoin(jobs, eq(jobs.id, leases.jobId))
    .where(
      and(
        eq(leases.state, 'active'),
        eq(leases.desired, 'run'),
        sql`${leases.exitedAt} is null`,
        sql`${leases.startedAt} + make_interval(secs => ${jobs.timeLimitSeconds} + ${overtimeSeconds}) <= now()`,
      ),
    )
    .limit(batch);
  for (const { id, providerId } of over) {
    await deps.db.transaction(async (tx) => {
      if (await desireStop(tx, id)) await notify(tx, 'cf_provider', providerId);
    });
  }
}

async function nextExpiryMs(deps: LeaseDeps): Promise<number | undefined> {
  const [row] = await deps.db
    .select({ ms: sql<number | null>`(extract(epoch from min(${leases.expiresAt}) - now()) * 1000)::float8` })
    .from(leases)
    .where(inArray(leases.state, openLeaseStates));
  return row?.ms === null || row?.ms === undefined ? undefined : Math.max(row.ms, 0) + 1;
}
