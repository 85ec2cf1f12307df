import type { Signals } from './background/signals.ts';
import type { Worker } from './background/worker.ts';
import { startSettleWorker } from './billing/settle-job.worker.ts';
import { startExpiryWorker } from './leases/expire-leases.worker.ts';
import { extendLeasesAfterRestart } from './leases/lease-expiry.store.ts';
import type { LeaseDeps } from './leases/lease-deps.ts';
import { startMatchWorker } from './leases/match-jobs.worker.ts';

/**
 * Starts everything that an orchestrator does by itself, without being called. One list for the program and
 * for the simulation, so that a worker cannot be forgotten in either.
 *
 * @returns the workers by name; the caller closes them.
 */
export async function startWorkers(deps: LeaseDeps & { signals: Signals }): Promise<Record<string, Worker>> {
  const { db, log, settings, signals } = deps;
  // Nobody could renew a lease while no orchestrator ran: give the machines time before judging them.
  const extended = await extendLeasesAfterRestart(db, settings.leaseTtlSeconds);
  if (extended > 0) log.info({ leases: extended }, 'open leases were extended after the restart');
  return {
    'match worker': startMatchWorker(deps),
    'expiry worker': startExpiryWorker(deps),
    'settle worker': startSettleWorker({ db, log, signals }),
  };
}
