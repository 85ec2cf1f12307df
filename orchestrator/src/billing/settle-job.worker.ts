import type { Db } from '@computefabric/db/client';
import type { Logger } from '@computefabric/runtime/log';
import type { Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { payDebts } from '../disputes/pay-debts.ts';
import { settleJob } from './settle-job.ts';
import { findUnsettled } from './settlement.store.ts';

/** Safety net under the signal that a job has ended. */
const sweepMs = 10_000;
/** Jobs in one pass; bounds the time that closing waits. */
const batch = 100;

/**
 * Settles jobs as they end. A job whose bill cannot be settled (a broken promise of ours) is logged at every
 * sweep and does not keep the others waiting.
 */
export function startSettleWorker({ db, log, signals }: { db: Db; log: Logger; signals: Signals }): Worker {
  const worker = startWorker({
    name: 'settle-job',
    log,
    everyMs: sweepMs,
    pass: async (signal) => {
      const due = await findUnsettled(db, batch);
      let settled = 0;
      for (const jobId of due) {
        if (signal.aborted) return undefined;
        try {
          if (await settleJob(db, jobId)) settled += 1;
        } catch (thrown) {
          log.error({ job_id: jobId, err: thrown }, 'job was not settled');
        }
      }
      if (settled > 0) log.info({ settled }, 'settled');
      const paidBack = await payDebts(db); // earnings first pay back what was taken back
      if (paidBack > 0) log.info({ owners: paidBack }, 'debts paid back');
      // A full batch: there may be more. Without any success it would only be the same again.
      return due.length === batch && settled > 0 ? 0 : undefined;
    },
  });
  const off = signals.on('cf_ended', () => worker.wake());
  return {
    wake: () => worker.wake(),
    close: async () => {
      off();
      await worker.close();
    },
  };
}
