import { toError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import { pause } from '@computefabric/runtime/wait';

export interface Worker {
  /** Asks for a pass as soon as possible; any number of calls before it starts make one pass. */
  wake(): void;
  /** Finishes the pass that is under way and stops. */
  close(): Promise<void>;
}

interface WorkerOptions {
  name: string;
  log: Logger;
  /** Longest time between two passes, ms: the safety net under the signals, or the tick of a timer's worker. */
  everyMs: number;
  /** One pass. Returns when the next one is due, in ms, if sooner than `everyMs`; 0 is at once. */
  pass: (signal: AbortSignal) => Promise<number | undefined>;
}

/** After a failed pass: long enough not to spin on a database that is down, short enough to be back soon. */
const afterFailureMs = 500;

/**
 * A background loop: one pass at a time, woken by `wake` or by time. A wake during a pass leads to another
 * pass, so nothing that was signalled is overlooked. A pass that throws is logged and tried again.
 */
export function startWorker(options: WorkerOptions): Worker {
  const stop = new AbortController();
  let woken = true;
  let dueMs = 0;
  let interrupt = new AbortController();

  const loop = (async () => {
    while (!stop.signal.aborted) {
      if (!woken) {
        await pause(dueMs, interrupt.signal);
        if (stop.signal.aborted) return;
      }
      woken = false;
      interrupt = new AbortController();
      try {
        dueMs = Math.min(options.everyMs, (await options.pass(stop.signal)) ?? options.everyMs);
      } catch (thrown) {
        options.log.error({ worker: options.name, err: toError(thrown) }, 'worker pass failed');
        dueMs = Math.min(options.everyMs, afterFailureMs);
      }
    }
  })();

  return {
    wake() {
      woken = true;
      interrupt.abort();
    },
    async close() {
      stop.abort();
      interrupt.abort();
      await loop;
    },
  };
}
