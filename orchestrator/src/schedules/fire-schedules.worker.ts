import type { Db } from '@computefabric/db/client';
import type { Logger } from '@computefabric/runtime/log';
import type { Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { fireSchedule } from './fire-schedule.ts';
import { findDueSchedules, nextDueMs } from './schedule.store.ts';

/** Longest sleep; the next time that is due ends it earlier. */
const longestSleepMs = 30_000;
/** Schedules in one pass. */
const batch = 100;

/** Submits the jobs of schedules as their times come. Several orchestrators may: each time fires once. */
export function startScheduleWorker(deps: {
  db: Db;
  log: Logger;
  signals: Signals;
  defaultMaxPricePerHourMicros: bigint;
}): Worker {
  const { db, log, signals } = deps;
  const worker = startWorker({
    name: 'fire-schedules',
    log,
    everyMs: longestSleepMs,
    pass: async (signal) => {
      const due = await findDueSchedules(db, batch);
      let fired = 0;
      for (const id of due) {
        if (signal.aborted) return undefined;
        try {
          if (await fireSchedule(deps, id)) fired += 1;
        } catch (thrown) {
          // One that cannot be fired, by a fault of ours, must not keep the others waiting.
          log.error({ schedule_id: id, err: thrown }, 'schedule was not fired');
        }
      }
      if (fired > 0) log.info({ fired }, 'fired schedules');
      if (due.length === batch && fired > 0) return 0;
      const nextMs = await nextDueMs(db);
      // Due and not fired: another worker has it, or it failed. A moment's rest, and no spinning.
      return nextMs === null ? undefined : Math.max(nextMs + 1, fired < due.length ? 1_000 : 1);
    },
  });
  const off = signals.on('cf_schedule', () => worker.wake());
  return {
    wake: () => worker.wake(),
    close: async () => {
      off();
      await worker.close();
    },
  };
}
