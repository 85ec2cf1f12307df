import type { Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { releaseAfter, releaseAll } from './release-blocked.ts';

/** Safety net under the signals. */
const sweepMs = 10_000;
/** Ids kept between two passes; beyond that the next pass looks at everything. */
const mostIds = 10_000;

/** Moves blocked jobs, groups and gangs on when a job ends, when one is submitted, and at every sweep. */
export function startReleaseWorker(
  deps: Pick<LeaseDeps, 'db' | 'settings' | 'log'> & { signals: Signals },
): Worker {
  let ids = new Set<string>();
  let lastSweepAt = Number.NEGATIVE_INFINITY;
  let sweep = true;
  const worker = startWorker({
    name: 'release-blocked',
    log: deps.log,
    everyMs: sweepMs,
    pass: async () => {
      const due = ids;
      ids = new Set();
      const all = sweep || performance.now() - lastSweepAt >= sweepMs;
      sweep = false;
      try {
        if (due.size > 0) await releaseAfter(deps, due);
        if (all) {
          await releaseAll(deps);
          lastSweepAt = performance.now();
        }
      } catch (thrown) {
        sweep = true; // what was not looked at now is looked at then
        throw thrown;
      }
      return undefined;
    },
  });
  const hear = (id: string) => {
    if (id === '' || ids.size >= mostIds) sweep = true;
    else ids.add(id);
    worker.wake();
  };
  const off = [deps.signals.on('cf_ended', hear), deps.signals.on('cf_blocked', hear)];
  return {
    wake: () => worker.wake(),
    close: async () => {
      for (const stop of off) stop();
      await worker.close();
    },
  };
}
