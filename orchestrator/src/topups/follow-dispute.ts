import type { Tx } from '@computefabric/db/client';
import { lesserOf } from '@computefabric/protocol/money';
import { backoffMs } from '@computefabric/runtime/backoff';
import { notify } from '../background/signals.ts';
import { balanceMicros, marketAccount, userAccount } from '../ledger/chart.ts';
import { postTransfers, type Transfer } from '../ledger/post-transfers.ts';
import type { DisputeState } from '../stripe/stripe-gateway.ts';
import { lockBillingAccount } from './billing-account.store.ts';
import {
  type CardDisputeRow,
  closeDispute,
  findDispute,
  insertDispute,
  lockDispute,
  noteEvidence,
  postponeDispute,
} from './card-dispute.store.ts';
import { assembleEvidence } from './evidence.ts';
import { refreshFreeze } from './freeze.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';
import { topUpOfIntent } from './top-up-of-intent.ts';
import { movePaymentsOf, type TopUpRow } from './top-up.store.ts';

const lookAgainSeconds = 21_600;
const retry = { baseMs: 30_000, maxMs: 3_600_000 };

/**
 * Brings a card holder's claim to where Stripe says it is. Opened: the amount leaves the renter's balance (what
 * is spent already is owed) and the account may not submit. Won: it comes back, after what is owed. Lost: it is
 * gone from Stripe. Learnt of only at the end, both steps are booked together.
 */
export async function followDispute(deps: TopUpDeps, disputeId: string): Promise<void> {
  const { db, stripe, log } = deps;
  const dispute = await stripe.readDispute(disputeId);
  if (dispute.state === 'inquiry') return; // no money has moved
  const topUp = dispute.intentId === null ? null : await topUpOfIntent(deps, dispute.intentId);
  if (!topUp) {
    log.warn({ dispute: disputeId }, 'a dispute is about a payment that is not of this market');
    return;
  }
  if (topUp.state !== 'succeeded') {
    // The claim was faster than the payment: a later try finds that booked.
    throw new Error(`${topUp.id} is disputed and not booked yet`);
  }
  await db.transaction((tx) => apply(tx, topUp, dispute));
}

/** Gives the bank the record of what the renter has run, once, and looks whether it has decided. */
export async function answerDispute(deps: TopUpDeps, id: string): Promise<void> {
  const { db, stripe } = deps;
  const row = await findDispute(db, id);
  if (row?.state !== 'open') return;
  try {
    if (row.evidenceSentAt === null) {
      await stripe.sendEvidence(id, await assembleEvidence(db, row.userId));
      await noteEvidence(db, id);
    }
    await followDispute(deps, id);
    await postponeDispute(db, id, lookAgainSeconds);
  } catch (thrown) {
    await postponeDispute(db, id, backoffMs(row.attempts, retry) / 1_000);
    throw thrown;
  }
}

async function apply(tx: Tx, topUp: TopUpRow, dispute: DisputeState): Promise<void> {
  const { userId } = topUp;
  await lockBillingAccount(tx, userId);
  let row: Pick<CardDisputeRow, 'id' | 'state' | 'amountMicros'> | null = await lockDispute(
    tx,
    dispute.disputeId,
  );
  const transfers: Transfer[] = [];
  const accounts = {
    available: await userAccount(tx, 'renter_available', userId),
    disputed: await userAccount(tx, 'renter_disputed', userId),
    debt: await userAccount(tx, 'renter_debt', userId),
    clearing: await marketAccount(tx, 'stripe_clearing'),
  };
  let owed = -(await balanceMicros(tx, 'renter_debt', userId));
  if (!row) {
    const { disputeId: id, amountMicros, reason, evidenceDueBy } = dispute;
    await insertDispute(tx, { id, userId, topUpId: topUp.id, amountMicros, reason, evidenceDueBy });
    const there = await balanceMicros(tx, 'renter_available', userId);
    const missing = there < amountMicros ? amountMicros - there : 0n;
    owed += missing;
    transfers.push(
      { id: `debt:${id}`, kind: 'debt', from: accounts.debt, to: accounts.available, amountMicros: missing },
      { id: `dispute:${id}`, kind: 'dispute', from: accounts.available, to: accounts.disputed, amountMicros },
    );
    await movePaymentsOf(tx, topUp.id, 'disputed');
    row = { id, state: 'open', amountMicros };
    await notify(tx, 'cf_payments', id);
  }
  const { id, amountMicros } = row;
  if (dispute.state === 'won' && (await closeDispute(tx, id, 'won'))) {
    transfers.push(
      {
        id: `dispute-won:${id}`,
        kind: 'dispute-won',
        from: accounts.disputed,
        to: accounts.available,
        amountMicros,
      },
      {
        id: `debt-paid:${id}`,
        kind: 'debt-paid',
        from: accounts.available,
        to: accounts.debt,
        amountMicros: lesserOf(owed, amountMicros),
      },
    );
    await movePaymentsOf(tx, topUp.id, 'succeeded');
  }
  if (dispute.state === 'lost' && (await closeDispute(tx, id, 'lost'))) {
    transfers.push({
      id: `dispute-lost:${id}`,
      kind: 'dispute-lost',
      from: accounts.disputed,
      to: accounts.clearing,
      amountMicros,
    });
    await movePaymentsOf(tx, topUp.id, 'refunded');
  }
  await postTransfers(
    tx,
    transfers.filter((transfer) => transfer.amountMicros > 0n),
  );
  await refreshFreeze(tx, userId);
}
