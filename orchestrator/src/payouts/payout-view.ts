import { greaterOf, lesserOf } from '@computefabric/protocol/money';
import type {
  OwedToOwner,
  PayoutAccountView,
  PayoutObstacle,
  PayoutView,
} from '@computefabric/protocol/user-api/earnings';
import { wholeCents } from '../stripe/cents.ts';
import { type Holding, releasableMicros } from './holding.store.ts';
import type { PayoutAccountRow } from './payout-account.store.ts';
import type { PayoutDeps } from './payout-deps.ts';
import type { AddressedPayout } from './payout.store.ts';

export function viewPayout(row: AddressedPayout, as: 'owner' | 'operator'): PayoutView {
  return {
    id: row.id,
    user: as === 'operator' ? { id: row.userId, email: row.email } : null,
    method: row.method,
    state: row.state,
    amount_micros: String(row.amountMicros),
    returned_micros: String(row.returnedMicros),
    reference: row.reference,
    failure:
      row.failureCode === null
        ? null
        : { code: row.failureCode, message: row.failureMessage ?? row.failureCode },
    created_at: row.createdAt.toISOString(),
    sent_at: row.sentAt?.toISOString() ?? null,
    settled_at: row.settledAt?.toISOString() ?? null,
  };
}

export function viewAccount(
  { stripe, settings }: Pick<PayoutDeps, 'stripe' | 'settings'>,
  row: PayoutAccountRow | null,
): PayoutAccountView {
  return {
    configured: stripe !== null,
    state: accountState(row),
    takes_transfers: row?.takesTransfers ?? false,
    pays_out: row?.paysOut ?? false,
    missing: row?.missing ?? [],
    disabled_reason: row?.disabledReason ?? null,
    bank_failure: row?.bankFailure ?? null,
    schedule: row?.schedule ?? 'weekly',
    minimum_micros: String(row?.minimumMicros ?? settings.minimumMicros),
    least_minimum_micros: String(settings.minimumMicros),
    next_payout_at: row?.nextPayoutAt?.toISOString() ?? null,
  };
}

function accountState(row: PayoutAccountRow | null): PayoutAccountView['state'] {
  if (!row?.accountId) return 'none';
  if (row.takesTransfers && row.paysOut) return 'ready';
  return row.detailsSubmitted ? 'restricted' : 'incomplete';
}

/** The parts of what an owner has: `held + payable + frozen` is what the hold window and the payable account hold. */
export function viewHolding(holding: Holding) {
  const payable = releasableMicros(holding);
  const { heldMicros, payableMicros, frozenMicros, inTransitMicros, owedMicros } = holding;
  const rest = heldMicros + payableMicros - payable;
  const frozen = lesserOf(frozenMicros, rest);
  return {
    held_micros: String(rest - frozen),
    payable_micros: String(payable),
    frozen_micros: String(frozen),
    in_transit_micros: String(inTransitMicros),
    owed_micros: String(owedMicros),
  };
}

export function viewOwed(
  user: OwedToOwner['user'],
  holding: Holding,
  account: PayoutAccountRow | null,
): OwedToOwner {
  return { user, ...viewHolding(holding), account_state: accountState(account) };
}

/** Why nothing can be paid out now; null when it can. */
export function obstacleOf(
  { stripe, settings }: Pick<PayoutDeps, 'stripe' | 'settings'>,
  holding: Holding,
  account: PayoutAccountRow | null,
  underWay: boolean,
): PayoutObstacle | null {
  if (stripe === null) return 'not-configured';
  if (!account?.accountId) return 'account-missing';
  if (!account.takesTransfers) return 'account-incomplete';
  if (underWay) return 'under-way';
  const micros = wholeCents(greaterOf(0n, releasableMicros(holding) - holding.owedMicros));
  return micros === 0n || micros < settings.minimumMicros ? 'below-minimum' : null;
}
