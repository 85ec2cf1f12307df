import type { Db } from '@computefabric/db/client';
import type { JobId } from '@computefabric/protocol/ids';
import type { Logger } from '@computefabric/runtime/log';
import type { Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { payDebts } from '../disputes/pay-debts.ts';
import { settleJob, settleJobs } from './settle-job.ts';
import { findUnsettled } from './settlement.store.ts';

/** Safety net under the signal that a job has ended. */
const sweepMs = 10_000;
/** Jobs in one pass and one transaction; bounds the time that closing waits. */
const batch = 300;

/**
 * Settles jobs as they end. What ends while some are being settled is settled together next: there is no window to wait
 * for, and the more there is to do the less each costs. A job whose bill cannot be settled (a broken promise of ours) is
 * logged at every sweep and does not keep the others waiting.
 */
export function startSettleWorker({ db, log, signals }: { db: Db; log: Logger; signals: Signals }): Worker {
  const worker = startWorker({
    name: 'settle-job',
    log,
    everyMs: sweepMs,
    pass: async (signal) => {
      const due = await findUnsettled(db, batch);
      const settled = await settleAll({ db, log }, due, signal);
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

/** All together; where one of them spoils that, each by itself. Gives how many were settled. */
async function settleAll(
  { db, log }: { db: Db; log: Logger },
  due: readonly JobId[],
  signal: AbortSignal,
): Promise<number> {
  try {
    return (await settleJobs(db, due)).length;
  } catch (thrown) {
    if (due.length > 1) log.warn({ jobs: due.length, err: thrown }, 'jobs are settled one by one');
  }
  let settled = 0;
  for (const jobId of due) {
    if (signal.aborted) break;
    try {
      if (await settleJob(db, jobId)) settled += 1;
    } catch (thrown) {
      log.error({ job_id: jobId, err: thrown }, 'job was not settled');
    }
  }
  return settled;
}
