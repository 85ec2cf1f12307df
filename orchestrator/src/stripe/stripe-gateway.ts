import type { CardRefundId, TopUpId, UserId } from '@computefabric/protocol/ids';

// What the market asks of Stripe, in the market's words: micros, and states that it acts on. The rest of the
// program knows nothing else of Stripe. Every call that makes something takes the cause that it is made for,
// which is its idempotency key: a repeat of the same cause gives the first answer.
//
// Every call has a deadline and repeats itself a few times. What it throws then is an AppError:
// `stripe/unavailable` when nothing is known of what happened (ask again later), `stripe/refused` when Stripe
// does not want it and a repeat would not change that. A card that is refused is an answer and no error.

export interface Card {
  id: string;
  brand: string;
  last4: string;
  expMonth: number;
  expYear: number;
}

/** Why a bank has refused a card, in Stripe's words. */
export interface Refusal {
  /** Such as `expired_card`, or the bank's own reason such as `insufficient_funds`. */
  code: string;
  message: string;
}

/** A payment as it is at this moment. */
export interface PaymentState {
  intentId: string;
  customerId: string | null;
  /**
   * - `waiting`     for a card, or for somebody to confirm it
   * - `processing`  the bank has not answered
   * - `needs_action` its card holder has to confirm it at `actionUrl`
   * - `paid` or `canceled`, for ever
   */
  state: 'waiting' | 'processing' | 'needs_action' | 'paid' | 'canceled';
  /** What was paid; 0 until then. */
  paidMicros: bigint;
  chargeId: string | null;
  /** The line of Stripe's statement, once there is one. */
  line: StatementLine | null;
  actionUrl: string | null;
  /** The last refusal, where the payment waits for another card. */
  refusal: Refusal | null;
}

export interface CheckoutState {
  checkoutId: string;
  customerId: string | null;
  state: 'open' | 'complete' | 'expired';
  url: string | null;
  /** Null until somebody pays there. */
  intentId: string | null;
}

export interface RefundState {
  stripeRefundId: string;
  intentId: string | null;
  state: 'pending' | 'succeeded' | 'failed';
  amountMicros: bigint;
  failure: string | null;
  /** The refund of ours that it was made for; null when it was made in Stripe's dashboard. */
  cause: string | null;
}

export interface DisputeState {
  disputeId: string;
  intentId: string | null;
  amountMicros: bigint;
  reason: string;
  /** `open` also while the bank decides; an `inquiry` has taken no money (yet). */
  state: 'inquiry' | 'open' | 'won' | 'lost';
  /** Whether evidence is still taken. */
  takesEvidence: boolean;
  evidenceDueBy: Date | null;
}

/** One movement of the balance at Stripe. */
export interface StatementLine {
  id: string;
  type: string;
  sourceId: string | null;
  /** Signed. */
  amountMicros: bigint;
  feeMicros: bigint;
  happenedAt: Date;
}

/** Where an owner's money goes. */
export interface PayoutAccountState {
  accountId: string;
  /** Transfers to it are taken. */
  takesTransfers: boolean;
  /** It pays out to its owner's bank. */
  paysOut: boolean;
  detailsSubmitted: boolean;
  /** What Stripe wants to know from its owner, in Stripe's words; empty when nothing. */
  missing: string[];
  disabledReason: string | null;
}

export interface TransferState {
  transferId: string;
  accountId: string;
  amountMicros: bigint;
  reversedMicros: bigint;
  /** The payout of ours that it was made for. */
  cause: string | null;
}

/** Money that came back of a transfer. */
export interface ReversalState {
  reversalId: string;
  amountMicros: bigint;
}

/** What Stripe has sent on from an owner's account to their bank. */
export interface BankedState {
  /** In all, as far as the bank has taken it. */
  bankedMicros: bigint;
  /** Why the bank did not take the newest; null when it did, or has not answered. */
  failure: string | null;
}

/** A verified event: enough to ask for the object itself. */
export interface GatewayEvent {
  id: string;
  type: string;
  objectId: string | null;
  /** The connected account that it is about. */
  account: string | null;
  happenedAt: Date;
}

export interface StripeGateway {
  // Renters
  createCustomer(customer: { userId: UserId; email: string }): Promise<string>;
  /** A page where a person pays. It closes after 24 hours. */
  openCheckout(checkout: {
    topUpId: TopUpId;
    customerId: string;
    amountMicros: bigint;
    /** Keeps the card for charges when nobody is there. */
    saveCard: boolean;
    returnUrl: string;
  }): Promise<CheckoutState>;
  /** A page where a person saves a card. */
  openCardSetup(setup: { cause: string; customerId: string; returnUrl: string }): Promise<CheckoutState>;
  readCheckout(checkoutId: string): Promise<CheckoutState>;
  /** Closes the page; false when it was closed or used before. */
  expireCheckout(checkoutId: string): Promise<boolean>;
  /** A payment that nobody is charged for yet; `clientSecret` lets a browser confirm it. */
  createPayment(payment: {
    topUpId: TopUpId;
    customerId: string;
    amountMicros: bigint;
    saveCard: boolean;
  }): Promise<{ intentId: string; clientSecret: string | null }>;
  /**
   * Charges a saved card. A payment succeeds at most once, however often it is confirmed.
   *
   * @param confirm.attempt 1, 2, 3, …: a repeat of the same attempt does nothing new
   * @param confirm.returnUrl given when its card holder is there and can confirm: the bank's page leads back
   *   to it. Without, a bank that wants a confirmation refuses with `authentication_required`.
   */
  confirmPayment(confirm: {
    intentId: string;
    cardId: string;
    attempt: number;
    returnUrl: string | null;
  }): Promise<PaymentState>;
  readPayment(intentId: string): Promise<PaymentState>;
  /** Gives a payment up; what it is afterwards (it may have been paid meanwhile). */
  cancelPayment(intentId: string): Promise<PaymentState>;
  /** Newest first. */
  listCards(customerId: string): Promise<Card[]>;
  removeCard(cardId: string): Promise<void>;
  refund(refund: { refundId: CardRefundId; intentId: string; amountMicros: bigint }): Promise<RefundState>;
  readRefund(stripeRefundId: string): Promise<RefundState>;
  /** All refunds of a payment. */
  listRefunds(intentId: string): Promise<RefundState[]>;
  readDispute(disputeId: string): Promise<DisputeState>;
  /** Gives the evidence to the bank; there is one chance. */
  sendEvidence(disputeId: string, evidence: { summary: string; log: string }): Promise<DisputeState>;

  // Owners
  createPayoutAccount(account: { userId: UserId; email: string; country: string }): Promise<string>;
  /** A page where an owner says who they are and where the money goes; good for some minutes. */
  openOnboarding(page: { accountId: string; returnUrl: string; refreshUrl: string }): Promise<string>;
  readPayoutAccount(accountId: string): Promise<PayoutAccountState>;
  /** Sends money to an owner's account. @param transfer.payoutId the cause, also its `transfer_group` */
  transfer(transfer: { payoutId: string; accountId: string; amountMicros: bigint }): Promise<TransferState>;
  readTransfer(transferId: string): Promise<TransferState>;
  /** Transfers that were made for a payout: one, or none if Stripe never heard of it. */
  findTransfers(payoutId: string): Promise<TransferState[]>;
  /** All that came back of a transfer. */
  listReversals(transferId: string): Promise<ReversalState[]>;
  /** What of an account's money its owner's bank has. */
  readBanked(accountId: string): Promise<BankedState>;
  /** Takes money back from an owner's account. */
  reverseTransfer(reversal: {
    cause: string;
    transferId: string;
    amountMicros: bigint;
  }): Promise<TransferState>;

  // Books
  /** All money at Stripe, whether it may be used already or not. */
  readBalance(): Promise<{ availableMicros: bigint; pendingMicros: bigint }>;
  /** The statement from a moment on, newest first, in pages. */
  listStatement(since: Date): AsyncIterable<StatementLine[]>;

  /**
   * Checks that a webhook is Stripe's and reads it.
   *
   * @throws AppError `stripe/bad-signature`
   */
  readEvent(body: Buffer, signature: string | undefined): GatewayEvent;
}
