import type { Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { loadMachines, loadQueue, nextBackoffEndMs } from '../matching/market.store.ts';
import { Matcher } from '../matching/match.ts';
import { grantLease } from './grant-lease.ts';
import type { LeaseDeps } from './lease-deps.ts';

/** Jobs looked at in one pass, from the head of the queue. */
const queueWindow = 500;
/** Safety net under the signals; nothing in a job's path waits for it. */
const everyMs = 10_000;
/** Rest after a pass whose proposals were all stale. */
const nothingGrantedMs = 250;

/** Places waiting jobs whenever something to match appears: a job, a machine, a freed GPU, an ended back-off. */
export function startMatchWorker(deps: LeaseDeps & { signals: Signals }): Worker {
  const matcher = new Matcher();
  const worker = startWorker({
    name: 'match-jobs',
    log: deps.log,
    everyMs,
    pass: async () => {
      const queue = await loadQueue(deps.db, queueWindow);
      if (queue.length > 0) {
        const placements = matcher.match(queue, await loadMachines(deps.db));
        let stale = 0;
        for (const placement of placements) {
          if ((await grantLease(deps.db, deps.settings, placement)) === 'stale') stale += 1;
        }
        if (placements.length > 0)
          deps.log.info({ queued: queue.length, placed: placements.length, stale }, 'matched');
        // A stale proposal means that the view was old: look again, and do not spin when nothing comes of it.
        if (stale > 0) return stale < placements.length ? 0 : nothingGrantedMs;
      }
      return (await nextBackoffEndMs(deps.db)) ?? undefined;
    },
  });
  const off = deps.signals.on('cf_queue', () => worker.wake());
  return {
    wake: () => worker.wake(),
    close: async () => {
      off();
      await worker.close();
    },
  };
}
