import type { Db } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { CURRENCY } from '@computefabric/protocol/money';
import type {
  autoTopUp,
  Billing,
  CardRefundView,
  CardView,
  TopUp,
} from '@computefabric/protocol/user-api/billing';
import { AppError } from '@computefabric/runtime/errors';
import type { z } from 'zod';
import { balanceMicros } from '../ledger/chart.ts';
import type { Card } from '../stripe/stripe-gateway.ts';
import { type BillingAccountRow, findBillingAccount } from './billing-account.store.ts';
import { type CardDisputeRow, listDisputesOf } from './card-dispute.store.ts';
import type { CardRefundRow } from './card-refund.store.ts';
import { listCards } from './cards.ts';
import { findUnpaid, type TopUpRow } from './top-up.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';

const disputesShown = 50;

/** Everything about how a user pays. Without a payment provider: their balance alone. */
export async function readBilling(db: Db, deps: TopUpDeps | null, userId: UserId): Promise<Billing> {
  const account = await findBillingAccount(db, userId);
  const cards = await cardsOf(deps, userId);
  const balance = async (kind: Parameters<typeof balanceMicros>[1]) => await balanceMicros(db, kind, userId);
  return {
    configured: deps !== null,
    mode: deps?.settings.mode ?? 'prepaid',
    currency: CURRENCY,
    available_micros: String(await balance('renter_available')),
    held_micros: String(await balance('renter_held')),
    owed_micros: String(-(await balance('renter_debt'))),
    disputed_micros: String(await balance('renter_disputed')),
    credit_limit_micros: String(account?.creditLimitMicros ?? 0n),
    frozen_by: account?.frozenBy ?? null,
    cards: cards?.map((card, index) => viewCard(card, index === 0)) ?? [],
    cards_known: cards !== null,
    auto_top_up: account && viewAutoTopUp(account),
    unpaid: (await findUnpaid(db, userId)).map(viewTopUp),
    disputes: (await listDisputesOf(db, userId, disputesShown)).map(viewDispute),
  };
}

/** Null while Stripe does not answer: the rest of the page does not need it. */
async function cardsOf(deps: TopUpDeps | null, userId: UserId): Promise<Card[] | null> {
  if (!deps) return [];
  try {
    return await listCards(deps, userId);
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    deps.log.warn({ err: thrown }, 'the cards of an account are not known just now');
    return null;
  }
}

export function viewTopUp(row: TopUpRow): TopUp {
  const url = row.state === 'open' ? row.checkoutUrl : row.state === 'needs_action' ? row.actionUrl : null;
  return {
    id: row.id,
    method: row.method,
    state: row.state,
    amount_micros: String(row.amountMicros),
    url,
    failure:
      row.failureCode === null
        ? null
        : { code: row.failureCode, message: row.failureMessage ?? row.failureCode },
    created_at: row.createdAt.toISOString(),
    settled_at: row.settledAt?.toISOString() ?? null,
  };
}

export function viewAutoTopUp(row: BillingAccountRow): z.input<typeof autoTopUp> | null {
  const { autoThresholdMicros, autoAmountMicros, autoCeilingMicros } = row;
  if (autoThresholdMicros === null || autoAmountMicros === null || autoCeilingMicros === null) return null;
  return {
    threshold_micros: String(autoThresholdMicros),
    amount_micros: String(autoAmountMicros),
    monthly_ceiling_micros: String(autoCeilingMicros),
    failures: row.autoFailures,
    paused_because: row.autoPausedBecause,
  };
}

export function viewCardRefund(row: CardRefundRow): CardRefundView {
  return {
    id: row.id,
    top_up_id: row.topUpId,
    state: row.state,
    amount_micros: String(row.amountMicros),
    failure: row.failure,
    created_at: row.createdAt.toISOString(),
    settled_at: row.settledAt?.toISOString() ?? null,
  };
}

function viewCard(card: Card, isDefault: boolean): CardView {
  const { id, brand, last4, expMonth, expYear } = card;
  return { id, brand, last4, exp_month: expMonth, exp_year: expYear, is_default: isDefault };
}

function viewDispute(row: CardDisputeRow): Billing['disputes'][number] {
  return {
    id: row.id,
    top_up_id: row.topUpId,
    state: row.state,
    amount_micros: String(row.amountMicros),
    reason: row.reason,
    evidence_sent_at: row.evidenceSentAt?.toISOString() ?? null,
    created_at: row.createdAt.toISOString(),
    closed_at: row.closedAt?.toISOString() ?? null,
  };
}
