import { toError } from '@computefabric/runtime/errors';
import type { Leadership } from '../background/leadership.ts';
import type { Signals } from '../background/signals.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import { followPayout } from './follow-payout.ts';
import { payDueOwners } from './pay-due-owners.ts';
import { claimAccountsToRead } from './payout-account.store.ts';
import type { PayoutDeps } from './payout-deps.ts';
import { claimDuePayouts } from './payout.store.ts';
import { releaseEarnings } from './release-earnings.ts';
import { syncPayoutAccount } from './set-up-payouts.ts';

/** How soon something whose time has come is seen; a payout that somebody asked for is signalled. */
const sweepMs = 15_000;
const batch = 50;
/** Longer than any call to Stripe with its repeats: what a dead process had claimed is found after this. */
const claimSeconds = 180;

/**
 * Pays owners, on the leader alone: releases earnings whose hold window is over, begins payouts that are due, asks
 * Stripe for their transfers, and asks it about everything that stayed open.
 */
export function startPayOwnersWorker(
  deps: PayoutDeps & { signals: Signals; leadership: Leadership },
): Worker {
  const { log, signals, leadership } = deps;
  const worker = startWorker({
    name: 'pay-owners',
    log,
    everyMs: sweepMs,
    pass: async (signal) => {
      if (!leadership.isLeader()) return undefined;
      return (await payOwners(deps, signal)) >= batch ? 0 : undefined;
    },
  });
  const wake = () => worker.wake();
  const offs = [signals.on('cf_payments', wake), leadership.onChange(wake)];
  return {
    wake,
    close: async () => {
      for (const off of offs) off();
      await worker.close();
    },
  };
}

/** One pass; gives the most rows of one kind that it looked at. What fails is logged and found again when it is due. */
export async function payOwners(deps: PayoutDeps, signal?: AbortSignal): Promise<number> {
  const { db, log, stripe, settings } = deps;
  const released = await releaseEarnings(db, settings, signal);
  if (released > 0) log.info({ owners: released }, 'earnings may be paid out');
  if (stripe === null) return 0;
  const transfers = { ...deps, stripe };
  const each = async <Id extends string>(what: string, ids: Id[], work: (id: Id) => Promise<void>) => {
    for (const id of ids) {
      if (signal?.aborted) break;
      try {
        await work(id);
      } catch (thrown) {
        log.warn({ [what]: id, err: toError(thrown) }, `a ${what} is looked at again later`);
      }
    }
    return ids.length;
  };
  const read = await each('payout_account', await claimAccountsToRead(db, batch, claimSeconds), (userId) =>
    syncPayoutAccount(transfers, userId),
  );
  const due = await payDueOwners(deps, batch);
  const followed = await each('payout', await claimDuePayouts(db, batch, claimSeconds), (id) =>
    followPayout(transfers, id),
  );
  return Math.max(read, due, followed);
}
