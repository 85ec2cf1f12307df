import type { BudgetAction, BudgetPeriod } from '@computefabric/protocol/cost-limit';
import type { BudgetId, TopUpId } from '@computefabric/protocol/ids';
import type {
  BillingMode,
  CardDisputeState,
  CardRefundState,
  FreezeCause,
  TopUpMethod,
  TopUpState,
} from '@computefabric/protocol/top-up-state';

/** How a person pays, and what is open. */
export interface BillingView {
  /** False where no payment provider is set up: all money is play money. */
  configured: boolean;
  mode: BillingMode;
  availableMicros: bigint;
  heldMicros: bigint;
  /** What this account owes the market. */
  owedMicros: bigint;
  /** Claimed back by a card holder and not decided. */
  disputedMicros: bigint;
  creditLimitMicros: bigint;
  frozenBy: FreezeCause | null;
  cards: CardItem[];
  /** False while the payment provider does not answer. */
  cardsKnown: boolean;
  autoTopUp: AutoTopUpView | null;
  /** Charges that wait for the person. */
  unpaid: TopUpItem[];
  cardDisputes: CardDisputeItem[];
  topUps: TopUpItem[];
  refunds: RefundItem[];
  budgets: BudgetItem[];
  budgetEvents: BudgetEventItem[];
  /** Keys that a budget can be set for. */
  keys: { id: string; name: string }[];
}

export interface CardItem {
  id: string;
  /** `visa … 4242`. */
  name: string;
  /** `12/2030`. */
  expires: string;
  isDefault: boolean;
}

export interface AutoTopUpView {
  thresholdMicros: bigint;
  amountMicros: bigint;
  ceilingMicros: bigint;
  /** Why it is switched off by itself. */
  pausedBecause: string | null;
}

export interface TopUpItem {
  id: TopUpId;
  method: TopUpMethod;
  state: TopUpState;
  amountMicros: bigint;
  /** Where to pay or to confirm. */
  url: string | null;
  /** Why the bank refused. */
  failure: string | null;
  createdAt: Date;
  settledAt: Date | null;
}

export interface RefundItem {
  id: string;
  state: CardRefundState;
  amountMicros: bigint;
  failure: string | null;
  createdAt: Date;
}

export interface CardDisputeItem {
  id: string;
  state: CardDisputeState;
  amountMicros: bigint;
  reason: string;
  evidenceSentAt: Date | null;
  createdAt: Date;
}

export interface BudgetItem {
  id: BudgetId;
  /** `Whole account`, or the name of the key. */
  whose: string;
  apiKeyId: string | null;
  period: BudgetPeriod;
  onLimit: BudgetAction;
  amountMicros: bigint;
  usedMicros: bigint;
  reservedMicros: bigint;
  leftMicros: bigint;
  percent: number;
  exhausted: boolean;
}

export interface BudgetEventItem {
  key: string;
  type: 'warning' | 'exhausted' | 'freed';
  message: string;
  at: Date;
}

/** One movement of a person's money as a renter. */
export interface LedgerItem {
  id: string;
  at: Date;
  kind: string;
  /** What it was for. */
  title: string;
  amountMicros: bigint;
  /** What it does to what one has: comes in, goes out, or stays one's own (reserved, given back). */
  effect: 'in' | 'out' | 'within';
  job: { id: string; name: string } | null;
}

export interface LedgerPage {
  items: LedgerItem[];
  /** Give this back to get older ones; null on the last page. */
  nextCursor: string | null;
}
