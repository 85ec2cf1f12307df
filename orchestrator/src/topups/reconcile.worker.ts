import type { Leadership } from '../background/leadership.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { type Reconciliation, reconcile } from './reconcile.ts';
import type { TopUpDeps } from './top-up-deps.ts';

/** How often the statement is read, and how long something may be on its way. */
const everyMs = 600_000;
const graceSeconds = 600;

export interface ReconcileWorker extends Worker {
  /** What the last pass found; null before the first. */
  latest(): Reconciliation | null;
}

/**
 * Holds the ledger against Stripe's statement on the leader, and raises an alarm in the log: for each entry that
 * does not fit, and for a difference of the sums that was the same a pass ago.
 */
export function startReconcileWorker(deps: TopUpDeps & { leadership: Leadership }): ReconcileWorker {
  const { log, leadership } = deps;
  let latest: Reconciliation | null = null;
  const worker = startWorker({
    name: 'reconcile',
    log,
    everyMs,
    pass: async () => {
      if (!leadership.isLeader()) return undefined;
      const before = latest;
      latest = await reconcile(deps, graceSeconds);
      for (const one of latest.unexplained) {
        log.error(
          { ...one, amountMicros: String(one.amountMicros) },
          'an entry of the statement or the ledger does not fit',
        );
      }
      const { differenceMicros } = latest;
      if (differenceMicros !== 0n && before?.differenceMicros === differenceMicros) {
        log.error(
          { difference_micros: String(differenceMicros) },
          'the balance at Stripe is not what the ledger says',
        );
      }
      return undefined;
    },
  });
  const off = leadership.onChange(() => worker.wake());
  return {
    wake: () => worker.wake(),
    latest: () => latest,
    close: async () => {
      off();
      await worker.close();
    },
  };
}
