import type { Tx } from '@computefabric/db/client';
import { type CardRefundId, cardRefundId } from '@computefabric/protocol/ids';
import { backoffMs } from '@computefabric/runtime/backoff';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { balanceMicros, marketAccount, userAccount } from '../ledger/chart.ts';
import { postTransfers, type Transfer } from '../ledger/post-transfers.ts';
import type { RefundState } from '../stripe/stripe-gateway.ts';
import { lockBillingAccount } from './billing-account.store.ts';
import {
  type CardRefundRow,
  findCardRefund,
  findCardRefundByStripe,
  insertCardRefund,
  keepStripeRefund,
  lockCardRefund,
  moveCardRefund,
  postponeCardRefund,
} from './card-refund.store.ts';
import { refreshFreeze } from './freeze.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';
import { topUpOfIntent } from './top-up-of-intent.ts';
import { findTopUp, type TopUpRow } from './top-up.store.ts';

const retry = { baseMs: 5_000, maxMs: 600_000 };

/**
 * Brings a refund to where Stripe says it is: asks for it where Stripe has not answered yet, and books it back
 * when the bank does not take it. Asked for twice it is made once: Stripe's own list is looked at first.
 */
export async function followRefund(deps: TopUpDeps, id: CardRefundId): Promise<void> {
  const { db, stripe } = deps;
  const row = await findCardRefund(db, id);
  if (!row) return;
  const topUp = await findTopUp(db, row.topUpId);
  invariant(topUp?.intentId, `the top-up of refund ${id} was paid`);
  let state: RefundState;
  try {
    state =
      row.stripeRefundId === null
        ? await stripe.refund({ refundId: id, intentId: topUp.intentId, amountMicros: row.amountMicros })
        : await stripe.readRefund(row.stripeRefundId);
  } catch (thrown) {
    // A refusal of a refund that was never made: the money stays with the renter.
    if (thrown instanceof AppError && thrown.code === 'stripe/refused' && row.stripeRefundId === null) {
      const code = thrown.details?.stripe_code;
      const why = typeof code === 'string' ? code : 'refused';
      await db.transaction((tx) => bookBack(tx, row, why));
      return;
    }
    await postponeCardRefund(db, id, backoffMs(row.attempts, retry) / 1_000);
    throw thrown;
  }
  await db.transaction((tx) => apply(tx, row, state));
}

/**
 * An event about a refund. One that nobody here asked for was made at Stripe by the operator: it is booked
 * against the renter's balance, and what is not there any more is owed.
 */
export async function followStripeRefund(deps: TopUpDeps, stripeRefundId: string): Promise<void> {
  const { db, stripe, log } = deps;
  const known = await findCardRefundByStripe(db, stripeRefundId);
  if (known) return await followRefund(deps, known.id);
  const state = await stripe.readRefund(stripeRefundId);
  const ours = cardRefundId.safeParse(state.cause);
  const asked = ours.success ? await findCardRefund(db, ours.data) : null;
  if (asked) {
    await db.transaction((tx) => apply(tx, asked, state));
    return;
  }
  const topUp = state.intentId === null ? null : await topUpOfIntent(deps, state.intentId);
  if (!topUp) {
    log.warn({ refund: stripeRefundId }, 'Stripe refunded a payment that is not of this market');
    return;
  }
  if (topUp.state !== 'succeeded') throw new Error(`${topUp.id} is refunded and not booked yet`);
  await db.transaction((tx) => adopt(tx, topUp, state));
}

async function apply(tx: Tx, { id }: CardRefundRow, state: RefundState): Promise<void> {
  const row = await lockCardRefund(tx, id);
  if (!row) return;
  invariant(row.amountMicros === state.amountMicros, `refund ${id} is of the amount that was asked for`);
  await keepStripeRefund(tx, id, state.stripeRefundId);
  switch (state.state) {
    case 'pending':
      await postponeCardRefund(tx, id, 60);
      break;
    case 'succeeded':
      await moveCardRefund(tx, id, ['pending'], 'succeeded', null);
      break;
    case 'failed':
      await bookBack(tx, row, state.failure ?? 'unknown');
      break;
  }
}

/** A bank may refuse a refund days after it was said to have succeeded. */
async function bookBack(tx: Tx, row: CardRefundRow, failure: string): Promise<void> {
  if (!(await moveCardRefund(tx, row.id, ['pending', 'succeeded'], 'failed', failure))) return;
  await postTransfers(tx, [
    {
      id: `card-refund-failed:${row.id}`,
      kind: 'card-refund',
      from: await marketAccount(tx, 'stripe_clearing'),
      to: await userAccount(tx, 'renter_available', row.userId),
      amountMicros: row.amountMicros,
    },
  ]);
}

async function adopt(tx: Tx, topUp: TopUpRow, state: RefundState): Promise<void> {
  const { userId } = topUp;
  const { amountMicros, stripeRefundId } = state;
  await lockBillingAccount(tx, userId);
  const row = await insertCardRefund(tx, { userId, topUpId: topUp.id, amountMicros, stripeRefundId });
  if (!row) return; // another event of the same refund was faster
  const available = await userAccount(tx, 'renter_available', userId);
  const there = await balanceMicros(tx, 'renter_available', userId);
  const transfers: Transfer[] = [
    {
      id: `debt:${row.id}`,
      kind: 'debt',
      from: await userAccount(tx, 'renter_debt', userId),
      to: available,
      amountMicros: there < amountMicros ? amountMicros - there : 0n,
    },
    {
      id: `card-refund:${row.id}`,
      kind: 'card-refund',
      from: available,
      to: await marketAccount(tx, 'stripe_clearing'),
      amountMicros,
    },
  ];
  await postTransfers(
    tx,
    transfers.filter((transfer) => transfer.amountMicros > 0n),
  );
  if (state.state === 'succeeded') await moveCardRefund(tx, row.id, ['pending'], 'succeeded', null);
  if (state.state === 'failed') await bookBack(tx, row, state.failure ?? 'unknown');
  await refreshFreeze(tx, userId);
}
