import { startWorker, type Worker } from '../background/worker.ts';
import { nextAvailabilityChangeMs, reopenMachines } from '../providers/availability.store.ts';
import type { LeaseDeps } from './lease-deps.ts';
import { emptyMachines } from './move-tries.ts';

/** Tries moved in one pass before looking again; bounds the time of a pass. */
const batch = 100;
/** A wish of an owner that begins now is seen within this; one that is planned is seen in time. */
const longestSleepMs = 2_000;

/**
 * Keeps what owners wish of their machines, on the database's clock: opens again those whose pause is over, and
 * moves what machines still have that are to be empty.
 */
export function startAvailabilityWorker(deps: LeaseDeps): Worker {
  return startWorker({
    name: 'empty-machines',
    log: deps.log,
    everyMs: longestSleepMs,
    pass: async () => {
      const opened = await reopenMachines(deps.db);
      if (opened.length > 0) deps.log.info({ machines: opened }, 'machines are open again');
      const moved = await emptyMachines(deps, batch);
      if (moved > 0) deps.log.info({ tries: moved }, 'tries move away from machines that are to be empty');
      if (moved === batch) return 0;
      const nextMs = await nextAvailabilityChangeMs(deps.db);
      return nextMs === null ? undefined : nextMs + 1;
    },
  });
}
