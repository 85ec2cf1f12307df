import type { Db } from '@computefabric/db/client';
import { backoffMs } from '@computefabric/runtime/backoff';
import { toError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import type { Leadership } from '../background/leadership.ts';
import type { Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { failEvent, findDueEvents, finishEvent, type StripeEventRow } from './event.store.ts';

/**
 * Does what an event calls for. It gets the id of the object, asks Stripe how that stands now and makes our
 * rows agree; called twice, late or out of order it therefore comes to the same.
 */
export type StripeEventHandler = (objectId: string, account: string | null) => Promise<void>;
/** By event type; a type that nobody handles is noted and ignored. */
export type StripeEventHandlers = Readonly<Record<string, StripeEventHandler>>;

export interface EventDeps {
  db: Db;
  log: Logger;
  handlers: StripeEventHandlers;
}

/** Safety net under the signal. */
const sweepMs = 5_000;
const batch = 100;
/** An event that failed this often is put aside: about two hours of trying. */
const maxAttempts = 12;
const retry = { baseMs: 1_000, maxMs: 1_800_000 };

/** Works on kept events, on the leader alone, in the order in which they happened. */
export function startEventWorker(deps: EventDeps & { signals: Signals; leadership: Leadership }): Worker {
  const { log, signals, leadership } = deps;
  const worker = startWorker({
    name: 'stripe-events',
    log,
    everyMs: sweepMs,
    pass: async (signal) => {
      if (!leadership.isLeader()) return undefined;
      return (await dispatchEvents(deps, signal)) === batch ? 0 : undefined;
    },
  });
  const offs = [signals.on('cf_stripe', () => worker.wake()), leadership.onChange(() => worker.wake())];
  return {
    wake: () => worker.wake(),
    close: async () => {
      for (const off of offs) off();
      await worker.close();
    },
  };
}

/** One pass; gives how many events were looked at. */
export async function dispatchEvents(deps: EventDeps, signal?: AbortSignal): Promise<number> {
  const due = await findDueEvents(deps.db, batch);
  for (const event of due) {
    if (signal?.aborted) break;
    await dispatch(deps, event);
  }
  return due.length;
}

async function dispatch({ db, log, handlers }: EventDeps, event: StripeEventRow): Promise<void> {
  const handler = Object.hasOwn(handlers, event.type) ? handlers[event.type] : undefined;
  if (!handler || event.objectId === null) {
    await finishEvent(db, event.id, 'ignored');
    return;
  }
  try {
    await handler(event.objectId, event.account);
    await finishEvent(db, event.id, 'done');
  } catch (thrown) {
    const error = toError(thrown);
    const state = await failEvent(db, event.id, {
      failure: error.message,
      retryMs: backoffMs(event.attempts, retry),
      maxAttempts,
    });
    const facts = { event: event.id, type: event.type, object: event.objectId, err: error };
    if (state === 'parked') log.error(facts, 'an event of Stripe was put aside: its handler keeps failing');
    else log.warn(facts, 'an event of Stripe is tried again later');
  }
}
