import type { Leadership } from './background/leadership.ts';
import type { Signals } from './background/signals.ts';
import type { Worker } from './background/worker.ts';
import { startSettleWorker } from './billing/settle-job.worker.ts';
import { startBudgetWorker } from './billing/watch-budgets.worker.ts';
import { startAvailabilityWorker } from './leases/empty-machines.worker.ts';
import { startExpiryWorker } from './leases/expire-leases.worker.ts';
import { extendLeasesAfterRestart } from './leases/lease-expiry.store.ts';
import type { LeaseDeps } from './leases/lease-deps.ts';
import { startCapWorker } from './leases/stop-at-cap.worker.ts';
import { startMatchWorker } from './leases/match-jobs.worker.ts';
import { startScheduleWorker } from './schedules/fire-schedules.worker.ts';
import { startReleaseWorker } from './shapes/release-blocked.worker.ts';

/**
 * Starts everything that an orchestrator does by itself, without being called. One list for the program and
 * for the simulation, so that a worker cannot be forgotten in either.
 *
 * @returns the workers by name; the caller closes them.
 */
export async function startWorkers(
  deps: LeaseDeps & { signals: Signals; leadership: Leadership; defaultMaxPricePerHourMicros: bigint },
): Promise<Record<string, Worker>> {
  const { db, log, settings, signals, leadership } = deps;
  // Nobody could renew a lease while no orchestrator ran: give the machines time before judging them. Where
  // another one leads, one ran.
  const extended = leadership.isLeader() ? await extendLeasesAfterRestart(db, settings.leaseTtlSeconds) : 0;
  if (extended > 0) log.info({ leases: extended }, 'open leases were extended after the restart');
  return {
    'match worker': startMatchWorker(deps),
    'expiry worker': startExpiryWorker(deps),
    'availability worker': startAvailabilityWorker(deps),
    'cap worker': startCapWorker(deps),
    'budget worker': startBudgetWorker(deps),
    'settle worker': startSettleWorker({ db, log, signals }),
    'release worker': startReleaseWorker(deps),
    'schedule worker': startScheduleWorker(deps),
  };
}
