import { toError } from '@computefabric/runtime/errors';
import type { Leadership } from '../background/leadership.ts';
import type { Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { beginAutoTopUps } from './auto-top-up.ts';
import { alignAccounts } from './billing-account.store.ts';
import { claimDueDisputes } from './card-dispute.store.ts';
import { claimDueRefunds } from './card-refund.store.ts';
import { collectEndedJobs } from './collect-jobs.ts';
import { answerDispute } from './follow-dispute.ts';
import { followRefund } from './follow-refund.ts';
import { followTopUp } from './follow-top-up.ts';
import { claimDueTopUps } from './top-up.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';

/** Safety net under the signal, and how soon a balance that fell is seen. */
const sweepMs = 5_000;
const batch = 50;
/** Longer than any call to Stripe with its repeats: what a dead process had claimed is found after this. */
const claimSeconds = 120;

/**
 * Moves money from and to cards, on the leader alone: begins automatic top-ups and charges for ended jobs,
 * charges cards, asks for refunds, answers disputes, and asks Stripe about everything that stayed open.
 */
export function startCardPaymentsWorker(
  deps: TopUpDeps & { signals: Signals; leadership: Leadership },
): Worker {
  const { log, signals, leadership } = deps;
  const worker = startWorker({
    name: 'card-payments',
    log,
    everyMs: sweepMs,
    pass: async (signal) => {
      if (!leadership.isLeader()) return undefined;
      return (await moveCardMoney(deps, signal)) >= batch ? 0 : undefined;
    },
  });
  const wake = () => worker.wake();
  const offs = [signals.on('cf_payments', wake), leadership.onChange(wake)];
  if (deps.settings.mode === 'per_job') offs.push(signals.on('cf_ended', wake));
  return {
    wake,
    close: async () => {
      for (const off of offs) off();
      await worker.close();
    },
  };
}

/** One pass; gives how many rows were looked at. What fails is logged and found again when it is due. */
export async function moveCardMoney(deps: TopUpDeps, signal?: AbortSignal): Promise<number> {
  const { db, log, settings } = deps;
  await alignAccounts(db, settings.mode, settings.creditLimitMicros);
  await beginAutoTopUps(deps);
  await collectEndedJobs(deps);
  let looked = 0;
  const each = async <Id extends string>(what: string, ids: Id[], work: (id: Id) => Promise<void>) => {
    for (const id of ids) {
      if (signal?.aborted) return;
      looked += 1;
      try {
        await work(id);
      } catch (thrown) {
        log.warn({ [what]: id, err: toError(thrown) }, `a ${what} is looked at again later`);
      }
    }
  };
  await each('top_up', await claimDueTopUps(db, batch, claimSeconds), (id) => followTopUp(deps, id));
  await each('card_refund', await claimDueRefunds(db, batch, claimSeconds), (id) => followRefund(deps, id));
  await each('card_dispute', await claimDueDisputes(db, batch, claimSeconds), (id) =>
    answerDispute(deps, id),
  );
  return looked;
}
