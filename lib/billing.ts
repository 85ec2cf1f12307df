import 'server-only';

import { UnreachableError } from '@computefabric/api-client/errors';
import type { CardRefundView, TopUp } from '@computefabric/protocol/user-api/billing';
import type { BillingView, RefundItem, TopUpItem } from '@/types/billing-view.ts';
import { log } from './log.ts';
import { orchestratorAs } from './orchestrator.ts';
import type { Session } from './session.ts';

const shownTopUps = 50;

/**
 * How the viewer pays and what is open; null while the market does not answer, since the rest of the page can be
 * read without it.
 */
export async function getBilling(session: Session): Promise<BillingView | null> {
  const { billing, budgets, account } = orchestratorAs(session);
  try {
    const [view, topUps, refunds, limits, keys] = await Promise.all([
      billing.get(),
      billing.listTopUps({ limit: shownTopUps }),
      billing.listRefunds(),
      budgets.list(),
      account.listApiKeys(),
    ]);
    const nameOfKey = new Map(keys.items.map(({ id, name }) => [id, name]));
    return {
      configured: view.configured,
      mode: view.mode,
      availableMicros: BigInt(view.available_micros),
      heldMicros: BigInt(view.held_micros),
      owedMicros: BigInt(view.owed_micros),
      disputedMicros: BigInt(view.disputed_micros),
      creditLimitMicros: BigInt(view.credit_limit_micros),
      frozenBy: view.frozen_by,
      cards: view.cards.map((card) => ({
        id: card.id,
        name: `${card.brand} … ${card.last4}`,
        expires: `${String(card.exp_month).padStart(2, '0')}/${card.exp_year}`,
        isDefault: card.is_default,
      })),
      cardsKnown: view.cards_known,
      autoTopUp: view.auto_top_up && {
        thresholdMicros: BigInt(view.auto_top_up.threshold_micros),
        amountMicros: BigInt(view.auto_top_up.amount_micros),
        ceilingMicros: BigInt(view.auto_top_up.monthly_ceiling_micros),
        pausedBecause: view.auto_top_up.paused_because,
      },
      unpaid: view.unpaid.map(toTopUpItem),
      cardDisputes: view.disputes.map((dispute) => ({
        id: dispute.id,
        state: dispute.state,
        amountMicros: BigInt(dispute.amount_micros),
        reason: dispute.reason,
        evidenceSentAt: dispute.evidence_sent_at === null ? null : new Date(dispute.evidence_sent_at),
        createdAt: new Date(dispute.created_at),
      })),
      topUps: topUps.items.map(toTopUpItem),
      refunds: refunds.items.map(toRefundItem),
      budgets: limits.items.map((budget) => ({
        id: budget.id,
        whose:
          budget.api_key_id === null
            ? 'Whole account'
            : `Key ${nameOfKey.get(budget.api_key_id) ?? budget.api_key_id}`,
        apiKeyId: budget.api_key_id,
        period: budget.period,
        onLimit: budget.on_limit,
        amountMicros: BigInt(budget.amount_micros),
        usedMicros: BigInt(budget.used_micros),
        reservedMicros: BigInt(budget.reserved_micros),
        leftMicros: BigInt(budget.left_micros),
        percent: budget.percent,
        exhausted: budget.exhausted,
      })),
      budgetEvents: limits.events.map(({ budget_id, type, percent, message, at }) => ({
        key: `${budget_id} ${at} ${type} ${percent}`,
        type,
        message,
        at: new Date(at),
      })),
      keys: keys.items
        .filter(({ revoked_at }) => revoked_at === null)
        .map(({ id, name, prefix }) => ({ id, name: `${name} (${prefix}…)` })),
    };
  } catch (thrown) {
    if (!(thrown instanceof UnreachableError)) throw thrown;
    log.warn({ err: thrown }, 'billing not available');
    return null;
  }
}

function toTopUpItem(topUp: TopUp): TopUpItem {
  return {
    id: topUp.id,
    method: topUp.method,
    state: topUp.state,
    amountMicros: BigInt(topUp.amount_micros),
    url: topUp.url,
    failure: topUp.failure?.message ?? null,
    createdAt: new Date(topUp.created_at),
    settledAt: topUp.settled_at === null ? null : new Date(topUp.settled_at),
  };
}

function toRefundItem(refund: CardRefundView): RefundItem {
  return {
    id: refund.id,
    state: refund.state,
    amountMicros: BigInt(refund.amount_micros),
    failure: refund.failure,
    createdAt: new Date(refund.created_at),
  };
}
