import 'server-only';

import type { Earnings, PayoutView } from '@computefabric/protocol/user-api/earnings';
import type { DisputeView } from '@computefabric/protocol/user-api/disputes';
import type { EarningsView, OwnerDisputeItem, PayoutItem } from '@/types/earnings-view.ts';
import { orchestratorAs } from './orchestrator.ts';
import type { Session } from './session.ts';

const shownPayouts = 50;
const shownDisputes = 20;

/** What the viewer's machines have earned, where it is, and what renters contest. */
export async function getEarnings(session: Session): Promise<EarningsView> {
  const { earnings, disputes } = orchestratorAs(session);
  const [view, payouts, contested] = await Promise.all([
    earnings.get(),
    earnings.listPayouts({ limit: shownPayouts }),
    disputes.list({ as: 'owner', limit: shownDisputes }),
  ]);
  const { account, hold } = view;
  return {
    playMoney: view.play_money,
    heldMicros: BigInt(view.held_micros),
    payableMicros: BigInt(view.payable_micros),
    frozenMicros: BigInt(view.frozen_micros),
    inTransitMicros: BigInt(view.in_transit_micros),
    owedMicros: BigInt(view.owed_micros),
    paidMicros: BigInt(view.paid_micros),
    todayMicros: BigInt(view.earned_today_micros),
    weekMicros: BigInt(view.earned_7d_micros),
    monthMicros: BigInt(view.earned_30d_micros),
    machines: byMachine(view.by_day),
    windowSeconds: hold.window_seconds,
    firstJobs: hold.first_jobs,
    settledJobs: hold.settled_jobs,
    nextReleaseAt: hold.next_release_at === null ? null : new Date(hold.next_release_at),
    obstacle: view.obstacle,
    account: {
      configured: account.configured,
      state: account.state,
      missing: account.missing,
      bankFailure: account.bank_failure,
      schedule: account.schedule,
      minimumMicros: BigInt(account.minimum_micros),
      leastMinimumMicros: BigInt(account.least_minimum_micros),
      nextPayoutAt: account.next_payout_at === null ? null : new Date(account.next_payout_at),
    },
    payouts: payouts.items.map(toPayoutItem),
    disputes: contested.items.map(toOwnerDispute),
  };
}

/** Days added up, the machine that earned most first. */
function byMachine(days: Earnings['by_day']): EarningsView['machines'] {
  const machines = new Map<string, EarningsView['machines'][number]>();
  for (const { provider_id: id, machine: name, earned_micros } of days) {
    const before = machines.get(id)?.monthMicros ?? 0n;
    machines.set(id, { id, name, monthMicros: before + BigInt(earned_micros) });
  }
  return [...machines.values()].toSorted((a, b) => Number(b.monthMicros - a.monthMicros));
}

function toPayoutItem(payout: PayoutView): PayoutItem {
  return {
    id: payout.id,
    method: payout.method,
    state: payout.state,
    amountMicros: BigInt(payout.amount_micros),
    returnedMicros: BigInt(payout.returned_micros),
    reference: payout.reference,
    failure: payout.failure?.message ?? null,
    createdAt: new Date(payout.created_at),
  };
}

function toOwnerDispute(dispute: DisputeView): OwnerDisputeItem {
  return {
    id: dispute.id,
    jobName: dispute.job_name,
    state: dispute.state,
    reason: dispute.reason,
    createdAt: new Date(dispute.created_at),
    decisions: dispute.decisions.map(({ outcome, blame, rule, explanation, refund_micros, at }) => ({
      outcome,
      blame,
      rule,
      explanation,
      refundMicros: BigInt(refund_micros),
      at: new Date(at),
    })),
  };
}
