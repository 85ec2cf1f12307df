import type { Leadership } from '../background/leadership.ts';
import type { Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import type { LeaseDeps } from './lease-deps.ts';
import { MarketMatcher } from './market-matcher.ts';

/** Safety net under the signals; nothing in a job's path waits for it. */
const everyMs = 10_000;
/** Rest after a pass whose proposals were all stale. */
const nothingGrantedMs = 250;

/**
 * Places waiting jobs whenever something to match appears: a job, a machine, a freed GPU, an ended back-off. Of
 * several orchestrators only the leader does; the others keep no view, and read all of it when they take over.
 */
export function startMatchWorker(deps: LeaseDeps & { signals: Signals; leadership: Leadership }): Worker {
  let matcher: MarketMatcher | null = null;
  const worker = startWorker({
    name: 'match-jobs',
    log: deps.log,
    everyMs,
    pass: async () => {
      if (!deps.leadership.isLeader()) {
        matcher = null;
        return undefined;
      }
      matcher ??= new MarketMatcher(deps);
      const { granted, stale, preempted, nextMs } = await matcher.pass();
      if (granted + stale + preempted > 0) {
        deps.log.info({ waiting: matcher.waiting, granted, stale, preempted }, 'matched');
      }
      // A stale proposal means that the view was old: look again, and do not spin when nothing comes of it.
      if (stale > 0) return granted > 0 ? 0 : nothingGrantedMs;
      return nextMs ?? undefined;
    },
  });
  const off = [
    deps.signals.on('cf_queue', (id) => {
      matcher?.noteChange(id);
      worker.wake();
    }),
    // A job that ended while it waited has left the queue.
    deps.signals.on('cf_ended', (id) => matcher?.noteEnd(id)),
    deps.leadership.onChange(() => worker.wake()),
  ];
  return {
    wake: () => worker.wake(),
    close: async () => {
      for (const remove of off) remove();
      await worker.close();
    },
  };
}
