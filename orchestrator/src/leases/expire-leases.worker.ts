import type { JobId, LeaseId } from '@computefabric/protocol/ids';
import { notify, type Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { endJob } from '../jobs/end-job.ts';
import { lockJob } from '../jobs/job.store.ts';
import { markSilentProvidersOffline } from '../providers/provider.store.ts';
import { endLease } from './end-lease.ts';
import { desireStop, lockLease, releaseLease } from './lease.store.ts';
import {
  findDisobedientLeases,
  findDueLeases,
  findJobsWaitingTooLong,
  findOvertimeLeases,
  isLeaseDue,
  lockJobWaitingTooLong,
  nextLeaseExpiryMs,
} from './lease-expiry.store.ts';
import type { LeaseDeps } from './lease-deps.ts';
import { loseOrSilence } from './silent-lease.ts';

/** Beyond the moment by which a program must have ended: time for a heartbeat to carry both messages. */
const disobedientSeconds = 20;
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
      const due = await findDueLeases(deps.db, batch);
      for (const lease of due) await expireLease(deps, lease.jobId, lease.id);
      await expireWaitingJobs(deps);
      await stopOvertime(deps);
      await endDisobedientTries(deps);
      await markSilentProvidersOffline(deps.db, deps.settings.leaseTtlSeconds);
      if (due.length === batch) return 0;
      const nextMs = await nextLeaseExpiryMs(deps.db);
      return nextMs === null ? undefined : nextMs + 1;
    },
  });
  // Where offers live for less than a sleep, a new one may be due before the next look.
  const isOfferSoonDue = deps.settings.offerSeconds * 1_000 < longestSleepMs;
  const off = isOfferSoonDue ? deps.signals.on('cf_provider', () => worker.wake()) : () => undefined;
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
    if (!(await isLeaseDue(tx, leaseId))) return;
    switch (lease.state) {
      case 'offered':
        await endLease(tx, deps.settings, { job, lease, to: 'expired', reason: 'offer-expired' });
        break;
      case 'active':
        await loseOrSilence(tx, deps.settings, job, lease);
        break;
      case 'silent':
        await endLease(tx, deps.settings, { job, lease, to: 'lost', reason: 'provider-lost' });
        break;
      case 'releasing':
        if (await releaseLease(tx, lease.id, 'lost')) await notify(tx, 'cf_queue', lease.providerId);
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
  for (const jobId of await findJobsWaitingTooLong(deps.db, batch)) {
    await deps.db.transaction(async (tx) => {
      if (await lockJobWaitingTooLong(tx, jobId)) await endJob(tx, { jobId, reason: 'no-match-in-time' });
    });
  }
}

/** A machine that lets a program run past its limit is told to stop it; the bill stops at the limit anyway. */
async function stopOvertime(deps: LeaseDeps): Promise<void> {
  for (const { id, providerId } of await findOvertimeLeases(deps.db, overtimeSeconds, batch)) {
    await deps.db.transaction(async (tx) => {
      if (await desireStop(tx, id, 'time-limit')) await notify(tx, 'cf_provider', providerId);
    });
  }
}

/**
 * A machine that keeps a program running past the moment given for its end loses the try: others wait for the
 * room. It is told that the try is gone, and its record suffers.
 */
export async function endDisobedientTries(deps: LeaseDeps): Promise<void> {
  for (const { id, jobId } of await findDisobedientLeases(deps.db, disobedientSeconds, batch)) {
    await deps.db.transaction(async (tx) => {
      const job = await lockJob(tx, jobId);
      const lease = await lockLease(tx, id);
      if (!job || lease?.state !== 'active' || lease.exitedAt) return;
      const detail = 'The machine did not stop the program in the time given.';
      await endLease(tx, deps.settings, { job, lease, to: 'lost', reason: 'provider-error', detail });
    });
  }
}
