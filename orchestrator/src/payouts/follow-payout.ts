import type { Tx } from '@computefabric/db/client';
import type { PayoutId } from '@computefabric/protocol/ids';
import { backoffMs } from '@computefabric/runtime/backoff';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { marketAccount, userAccount } from '../ledger/chart.ts';
import { postTransfers, type Transfer } from '../ledger/post-transfers.ts';
import type { ReversalState, TransferState } from '../stripe/stripe-gateway.ts';
import { forgetRefusals, noteRefusal } from './payout-account.store.ts';
import type { TransferDeps } from './payout-deps.ts';
import { syncPayoutAccount } from './set-up-payouts.ts';
import {
  findPayout,
  insertReversal,
  lockPayout,
  markArrived,
  movePayout,
  type PayoutRow,
  postponePayout,
} from './payout.store.ts';

const retry = { baseMs: 5_000, maxMs: 600_000 };
/** How often a payout that was sent is looked at until its bank has it; events tell sooner. */
const lookAgain = { baseMs: 600_000, maxMs: 21_600_000 };

/**
 * Brings a payout to where Stripe says it is: asks for its transfer where that is not certain, books what Stripe has
 * taken, and books back what it refuses or what was reversed. Followed twice, by two processes, or again after a crash
 * at any point, there is one transfer: the row was there before, Stripe's own list is looked at before anything is
 * asked for, and the row's id is the key that Stripe keeps for a day.
 */
export async function followPayout(deps: TransferDeps, id: PayoutId): Promise<void> {
  const { db } = deps;
  const row = await findPayout(db, id);
  if (!row || row.method === 'manual' || row.state === 'failed') return;
  if (row.state === 'created') await movePayout(db, id, 'sending');
  try {
    const transfer =
      row.transferId === null ? await send(deps, row) : await deps.stripe.readTransfer(row.transferId);
    if ('refusedBecause' in transfer) {
      await db.transaction((tx) => bookBack(tx, id, transfer.refusedBecause));
      // Often the account is what has changed. Where this fails, the worker asks again: it is due.
      await syncPayoutAccount(deps, row.userId);
      return;
    }
    const reversals =
      transfer.reversedMicros > row.returnedMicros
        ? await deps.stripe.listReversals(transfer.transferId)
        : [];
    await db.transaction((tx) => apply(tx, id, transfer, reversals));
  } catch (thrown) {
    await postponePayout(db, id, backoffMs(row.attempts, retry) / 1_000);
    throw thrown;
  }
}

interface Refused {
  refusedBecause: { code: string; message: string };
}

async function send({ stripe }: TransferDeps, row: PayoutRow): Promise<TransferState | Refused> {
  invariant(row.accountId, `${row.id} goes to an account`);
  try {
    return await stripe.transfer({
      payoutId: row.id,
      accountId: row.accountId,
      amountMicros: row.amountMicros,
    });
  } catch (thrown) {
    if (!(thrown instanceof AppError && thrown.code === 'stripe/refused')) throw thrown;
    // Nobody books back what another try of the same payout has got through.
    const [made] = await stripe.findTransfers(row.id);
    if (made) return made;
    const code = thrown.details?.stripe_code;
    const cause = thrown.cause instanceof Error ? thrown.cause.message : thrown.message;
    return { refusedBecause: { code: typeof code === 'string' ? code : 'refused', message: cause } };
  }
}

async function apply(
  tx: Tx,
  id: PayoutId,
  transfer: TransferState,
  reversals: readonly ReversalState[],
): Promise<void> {
  const row = await lockPayout(tx, id);
  invariant(row, `payout ${id} exists`);
  invariant(
    row.amountMicros === transfer.amountMicros && row.accountId === transfer.accountId,
    `the transfer of ${id} is the one that was asked for`,
  );
  const { userId } = row;
  const clearing = await marketAccount(tx, 'stripe_clearing');
  const transfers: Transfer[] = [];
  if (await movePayout(tx, id, 'sent', { transferId: transfer.transferId })) {
    const from = await userAccount(tx, 'provider_in_transit', userId);
    transfers.push({
      id: `payout-sent:${id}`,
      kind: 'payout-sent',
      from,
      to: clearing,
      amountMicros: row.amountMicros,
    });
    await forgetRefusals(tx, userId);
  }
  const payable = await userAccount(tx, 'provider_payable', userId);
  for (const { reversalId, amountMicros } of reversals) {
    if (!(await insertReversal(tx, { id: reversalId, payoutId: id, amountMicros }))) continue;
    transfers.push({
      id: `payout-returned:${reversalId}`,
      kind: 'payout-returned',
      from: clearing,
      to: payable,
      amountMicros,
    });
  }
  await postTransfers(tx, transfers);
  const now = await lockPayout(tx, id);
  invariant(now, `payout ${id} exists`);
  if (now.returnedMicros === now.amountMicros) await movePayout(tx, id, 'reversed');
  await markArrived(tx, userId);
  await postponePayout(tx, id, backoffMs(now.attempts, lookAgain) / 1_000);
}

/** Stripe does not take it: the money may be paid out again, and the owner sees why. */
async function bookBack(tx: Tx, id: PayoutId, { code, message }: Refused['refusedBecause']): Promise<void> {
  if (!(await movePayout(tx, id, 'failed', { failureCode: code, failureMessage: message }))) return;
  const row = await lockPayout(tx, id);
  invariant(row, `payout ${id} exists`);
  await postTransfers(tx, [
    {
      id: `payout-returned:${id}`,
      kind: 'payout-returned',
      from: await userAccount(tx, 'provider_in_transit', row.userId),
      to: await userAccount(tx, 'provider_payable', row.userId),
      amountMicros: row.amountMicros,
    },
  ]);
  await noteRefusal(tx, row.userId);
}
