import { AppError } from '@computefabric/runtime/errors';
import type { Secret } from '@computefabric/runtime/secret';
import Stripe from 'stripe';
import { z } from 'zod';
import { fromCents, toCents } from './cents.ts';
import type {
  Card,
  CheckoutState,
  DisputeState,
  GatewayEvent,
  PaymentState,
  PayoutAccountState,
  RefundState,
  StatementLine,
  StripeGateway,
  TransferState,
} from './stripe-gateway.ts';
import type { StripeAddress } from './stripe-settings.ts';

/** Longest time for one try of a call. Stripe answers within seconds; a charge may wait for the bank. */
const callMs = 20_000;
/** Tries after the first one, by the SDK itself and with the same key. */
const networkRetries = 2;
/** How old or how far ahead a webhook's time may be: more would make a recorded one good for longer. */
const toleranceSeconds = 300;
const currency = 'usd';
/** Refunds of one payment that are looked through. */
const mostListed = 1_000;
/** Payments to one owner's bank that are added up: one a day for 27 years. */
const mostPayoutsListed = 10_000;

/** Stripe by its own SDK, the only file that imports it. */
export function createStripeGateway(settings: {
  secretKey: Secret;
  webhookSecret: Secret | null;
  /** Signs events of owners' accounts, where these come from a webhook of their own. */
  connectWebhookSecret?: Secret | null;
  address: StripeAddress;
  /** Milliseconds since 1970. */
  now: () => number;
}): StripeGateway {
  const stripe = new Stripe(settings.secretKey.reveal(), {
    ...settings.address,
    timeout: callMs,
    maxNetworkRetries: networkRetries,
    telemetry: false,
  });

  const readPayment = async (intentId: string): Promise<PaymentState> =>
    paymentState(
      await ask(() =>
        stripe.paymentIntents.retrieve(intentId, { expand: ['latest_charge.balance_transaction'] }),
      ),
    );
  const rawRefunds = (intentId: string): Promise<Stripe.Refund[]> =>
    ask(() =>
      stripe.refunds.list({ payment_intent: intentId, limit: 100 }).autoPagingToArray({ limit: mostListed }),
    );
  const rawTransfers = async (payoutId: string): Promise<Stripe.Transfer[]> =>
    (await ask(() => stripe.transfers.list({ transfer_group: payoutId, limit: 100 }))).data;

  return {
    createCustomer: async ({ userId, email }) =>
      (
        await once(`customer:${userId}`, (options) =>
          stripe.customers.create({ email, metadata: { user: userId } }, options),
        )
      ).id,

    openCheckout: async ({ topUpId, customerId, amountMicros, saveCard, returnUrl }) =>
      checkoutState(
        await once(`checkout:${topUpId}`, (options) =>
          stripe.checkout.sessions.create(
            {
              mode: 'payment',
              customer: customerId,
              client_reference_id: topUpId,
              success_url: returnUrl,
              cancel_url: returnUrl,
              line_items: [
                {
                  price_data: {
                    currency,
                    unit_amount: toCents(amountMicros),
                    product_data: { name: 'Balance for computing time' },
                  },
                  quantity: 1,
                },
              ],
              payment_intent_data: {
                metadata: { top_up: topUpId },
                ...(saveCard ? { setup_future_usage: 'off_session' } : {}),
              },
              metadata: { top_up: topUpId },
            },
            options,
          ),
        ),
      ),

    openCardSetup: async ({ cause, customerId, returnUrl }) =>
      checkoutState(
        await once(`card-setup:${cause}`, (options) =>
          stripe.checkout.sessions.create(
            { mode: 'setup', currency, customer: customerId, success_url: returnUrl, cancel_url: returnUrl },
            options,
          ),
        ),
      ),

    readCheckout: async (checkoutId) =>
      checkoutState(await ask(() => stripe.checkout.sessions.retrieve(checkoutId))),

    async expireCheckout(checkoutId) {
      const { status } = await ask(() => stripe.checkout.sessions.retrieve(checkoutId));
      if (status !== 'open') return false;
      await ask(() => stripe.checkout.sessions.expire(checkoutId));
      return true;
    },

    async createPayment({ topUpId, customerId, amountMicros, saveCard }) {
      const intent = await once(`payment:${topUpId}`, (options) =>
        stripe.paymentIntents.create(
          {
            amount: toCents(amountMicros),
            currency,
            customer: customerId,
            allowed_payment_method_types: ['card'],
            metadata: { top_up: topUpId },
            ...(saveCard ? { setup_future_usage: 'off_session' } : {}),
          },
          options,
        ),
      );
      return { intentId: intent.id, clientSecret: intent.client_secret };
    },

    async confirmPayment({ intentId, cardId, attempt, returnUrl }) {
      try {
        await once(
          `confirm:${intentId}:${attempt}`,
          (options) =>
            stripe.paymentIntents.confirm(
              intentId,
              {
                payment_method: cardId,
                ...(returnUrl === null ? { off_session: true } : { return_url: returnUrl }),
              },
              options,
            ),
          {
            isAnswer: (error) => error instanceof Stripe.errors.StripeCardError || isAboutTheCard(error),
          },
        );
      } catch (thrown) {
        if (!(thrown instanceof Stripe.errors.StripeError)) throw thrown;
        // The bank's no, or the payment has moved on by another way: what counts is how it stands now.
        const now = await readPayment(intentId);
        return now.state === 'waiting' && now.refusal === null
          ? { ...now, refusal: { code: thrown.code ?? 'card_declined', message: thrown.message } }
          : now;
      }
      return await readPayment(intentId);
    },

    readPayment,

    async cancelPayment(intentId) {
      const before = await readPayment(intentId);
      if (before.state === 'paid' || before.state === 'canceled') return before;
      try {
        await askRaw(() => stripe.paymentIntents.cancel(intentId));
      } catch (thrown) {
        if (codeOf(thrown) !== 'payment_intent_unexpected_state') throw toAppError(thrown);
      }
      return await readPayment(intentId);
    },

    listCards: async (customerId) =>
      (await ask(() => stripe.customers.listPaymentMethods(customerId, { type: 'card', limit: 50 }))).data
        .map(cardOf)
        .filter((card) => card !== null),

    async removeCard(cardId) {
      await ask(() => stripe.paymentMethods.detach(cardId));
    },

    async refund({ refundId, intentId, amountMicros }) {
      // A key is forgotten after a day; what was refunded is not.
      const find = async () =>
        (await rawRefunds(intentId)).find(({ metadata }) => metadata?.refund === refundId);
      const refund =
        (await find()) ??
        (await once(
          `refund:${refundId}`,
          (options) =>
            stripe.refunds.create(
              { payment_intent: intentId, amount: toCents(amountMicros), metadata: { refund: refundId } },
              options,
            ),
          { find },
        ));
      return refundState(refund);
    },

    readRefund: async (stripeRefundId) =>
      refundState(await ask(() => stripe.refunds.retrieve(stripeRefundId))),
    listRefunds: async (intentId) => (await rawRefunds(intentId)).map(refundState),

    readDispute: async (disputeId) => disputeState(await ask(() => stripe.disputes.retrieve(disputeId))),

    async sendEvidence(disputeId, { summary, log }) {
      const before = disputeState(await ask(() => stripe.disputes.retrieve(disputeId)));
      if (!before.takesEvidence) return before;
      return disputeState(
        await once(`evidence:${disputeId}`, (options) =>
          stripe.disputes.update(
            disputeId,
            { evidence: { product_description: summary, access_activity_log: log }, submit: true },
            options,
          ),
        ),
      );
    },

    createPayoutAccount: async ({ userId, email, country }) =>
      (
        await once(`payout-account:${userId}:${country}`, (options) =>
          stripe.accounts.create(
            {
              country,
              email,
              controller: {
                fees: { payer: 'application' },
                losses: { payments: 'application' },
                requirement_collection: 'stripe',
                stripe_dashboard: { type: 'express' },
              },
              capabilities: { transfers: { requested: true } },
              metadata: { user: userId },
            },
            options,
          ),
        )
      ).id,

    openOnboarding: async ({ accountId, returnUrl, refreshUrl }) =>
      (
        await ask(() =>
          stripe.accountLinks.create({
            account: accountId,
            type: 'account_onboarding',
            return_url: returnUrl,
            refresh_url: refreshUrl,
          }),
        )
      ).url,

    readPayoutAccount: async (accountId) =>
      payoutAccountState(await ask(() => stripe.accounts.retrieve(accountId))),

    async transfer({ payoutId, accountId, amountMicros }) {
      const find = async () => (await rawTransfers(payoutId))[0];
      const transfer =
        (await find()) ??
        (await once(
          `payout:${payoutId}`,
          (options) =>
            stripe.transfers.create(
              {
                amount: toCents(amountMicros),
                currency,
                destination: accountId,
                transfer_group: payoutId,
                metadata: { payout: payoutId },
              },
              options,
            ),
          { find },
        ));
      return transferState(transfer);
    },

    readTransfer: async (transferId) => transferState(await ask(() => stripe.transfers.retrieve(transferId))),
    findTransfers: async (payoutId) => (await rawTransfers(payoutId)).map(transferState),

    listReversals: async (transferId) =>
      (
        await ask(() =>
          stripe.transfers.listReversals(transferId, { limit: 100 }).autoPagingToArray({ limit: mostListed }),
        )
      ).map((reversal) => {
        requireUsd(reversal);
        return { reversalId: reversal.id, amountMicros: fromCents(reversal.amount) };
      }),

    async readBanked(accountId) {
      const payouts = await ask(() =>
        stripe.payouts
          .list({ limit: 100 }, { stripeAccount: accountId })
          .autoPagingToArray({ limit: mostPayoutsListed }),
      );
      const inDollars = payouts.filter((payout) => payout.currency === currency);
      const [newest] = payouts;
      return {
        bankedMicros: inDollars
          .filter(({ status }) => status === 'paid')
          .reduce((sum, { amount }) => sum + fromCents(amount), 0n),
        failure:
          newest?.status === 'failed' ? (newest.failure_message ?? newest.failure_code ?? 'unknown') : null,
      };
    },

    async reverseTransfer({ cause, transferId, amountMicros }) {
      const find = async () =>
        (await ask(() => stripe.transfers.listReversals(transferId, { limit: 100 }))).data.find(
          ({ metadata }) => metadata?.cause === cause,
        );
      if (!(await find())) {
        await once(
          `reversal:${cause}`,
          (options) =>
            stripe.transfers.createReversal(
              transferId,
              { amount: toCents(amountMicros), metadata: { cause } },
              options,
            ),
          { find },
        );
      }
      return transferState(await ask(() => stripe.transfers.retrieve(transferId)));
    },

    async readBalance() {
      const balance = await ask(() => stripe.balance.retrieve());
      const sum = (parts: { amount: number; currency: string }[]) =>
        parts
          .filter((part) => part.currency === currency)
          .reduce((total, { amount }) => total + fromCents(amount), 0n);
      return { availableMicros: sum(balance.available), pendingMicros: sum(balance.pending) };
    },

    async *listStatement(since) {
      let after: string | undefined;
      for (;;) {
        const page = await ask(() =>
          stripe.balanceTransactions.list({
            limit: 100,
            created: { gte: Math.floor(since.getTime() / 1_000) },
            ...(after === undefined ? {} : { starting_after: after }),
          }),
        );
        yield page.data.map(statementLine);
        after = page.data.at(-1)?.id;
        if (!page.has_more || after === undefined) return;
      }
    },

    readEvent: (body, signature) =>
      readEvent(
        stripe,
        body,
        signature,
        [settings.webhookSecret, settings.connectWebhookSecret ?? null].filter((secret) => secret !== null),
        settings.now(),
      ),
  };
}

/** Keys to try when Stripe keeps answering a first one with the error that it ended in. */
const keysOfCause = 4;

/**
 * Makes something, once for its cause. Stripe keeps an error of its own under the key as well: a repeat would
 * only ever see that again, although it may have been done. The next key is used then, unless `find` finds it
 * done. What has no `find` can have no second effect: a payment succeeds once, a page is seen by nobody.
 *
 * @param more.isAnswer errors that are the answer
 */
async function once<T>(
  key: string,
  call: (options: { idempotencyKey: string }) => Promise<T>,
  more: { isAnswer?: (error: unknown) => boolean; find?: () => Promise<T | undefined> } = {},
): Promise<T> {
  for (let number = 1; ; number += 1) {
    const idempotencyKey = number === 1 ? key : `${key}:${number}`;
    try {
      return await call({ idempotencyKey });
    } catch (thrown) {
      if (more.isAnswer?.(thrown)) throw thrown;
      if (!isKeptError(thrown) || number === keysOfCause) throw toAppError(thrown);
    }
    const found = await more.find?.();
    if (found !== undefined) return found;
  }
}

function isKeptError(thrown: unknown): boolean {
  return (
    thrown instanceof Stripe.errors.StripeError &&
    (thrown.statusCode ?? 0) >= 500 &&
    thrown.headers?.['idempotent-replayed'] === 'true'
  );
}

async function ask<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    throw toAppError(thrown);
  }
}

const askRaw = <T>(call: () => Promise<T>): Promise<T> => call();

/** A refusal that another card could mend, or that says that the payment is no longer open. */
function isAboutTheCard(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return (
    code.startsWith('payment_method_') ||
    code === 'payment_intent_unexpected_state' ||
    (code === 'resource_missing' && (error as Stripe.errors.StripeError).param === 'payment_method')
  );
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Stripe.errors.StripeError ? thrown.code : undefined;
}

/** Stripe's errors as ours. What is not known to have failed is `unavailable`. */
function toAppError(thrown: unknown): Error {
  if (!(thrown instanceof Stripe.errors.StripeError)) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
  const { statusCode = 0, code, requestId, message } = thrown;
  const passes =
    statusCode === 0 || statusCode >= 500 || statusCode === 429 || code === 'idempotency_key_in_use';
  return new AppError(passes ? 'stripe/unavailable' : 'stripe/refused', {
    internal: `Stripe (${statusCode} ${thrown.type} ${code ?? ''}, request ${requestId ?? 'unknown'}): ${message}`,
    ...(code === undefined ? {} : { details: { stripe_code: code } }),
    cause: thrown,
  });
}

function requireUsd(object: { id: string; currency: string }): void {
  if (object.currency === currency) return;
  throw new AppError('stripe/refused', {
    internal: `${object.id} is in ${object.currency}, and the market keeps its books in ${currency}`,
  });
}

const idOf = (value: string | { id: string } | null | undefined): string | null =>
  typeof value === 'string' ? value : (value?.id ?? null);

/** What Stripe's words mean to us; a word that is new to us is waited for like a payment under way. */
const paymentStates: Readonly<Record<string, PaymentState['state']>> = {
  requires_payment_method: 'waiting',
  requires_confirmation: 'waiting',
  requires_capture: 'processing',
  processing: 'processing',
  requires_action: 'needs_action',
  succeeded: 'paid',
  canceled: 'canceled',
};

function paymentState(intent: Stripe.PaymentIntent): PaymentState {
  requireUsd(intent);
  const charge = typeof intent.latest_charge === 'string' ? null : intent.latest_charge;
  const line = typeof charge?.balance_transaction === 'string' ? null : charge?.balance_transaction;
  const error = intent.last_payment_error;
  const state = paymentStates[intent.status] ?? 'processing';
  return {
    intentId: intent.id,
    customerId: idOf(intent.customer),
    state,
    paidMicros: state === 'paid' ? fromCents(intent.amount_received) : 0n,
    chargeId: state === 'paid' ? idOf(intent.latest_charge) : null,
    line: line ? statementLine(line) : null,
    actionUrl: intent.next_action?.redirect_to_url?.url ?? null,
    refusal:
      error && state === 'waiting'
        ? {
            code: error.decline_code ?? error.code ?? 'card_declined',
            message: error.message ?? 'The card was declined.',
          }
        : null,
  };
}

const checkoutStates: Readonly<Record<string, CheckoutState['state']>> = {
  complete: 'complete',
  expired: 'expired',
};

function checkoutState(session: Stripe.Checkout.Session): CheckoutState {
  return {
    checkoutId: session.id,
    customerId: idOf(session.customer),
    state: checkoutStates[session.status ?? 'open'] ?? 'open',
    url: session.url,
    intentId: idOf(session.payment_intent),
  };
}

function cardOf(method: Stripe.PaymentMethod): Card | null {
  if (!method.card) return null;
  const { brand, last4, exp_month, exp_year } = method.card;
  return { id: method.id, brand, last4, expMonth: exp_month, expYear: exp_year };
}

function refundState(refund: Stripe.Refund): RefundState {
  requireUsd(refund);
  const failed = refund.status === 'failed' || refund.status === 'canceled';
  return {
    stripeRefundId: refund.id,
    intentId: idOf(refund.payment_intent),
    state: failed ? 'failed' : refund.status === 'succeeded' ? 'succeeded' : 'pending',
    amountMicros: fromCents(refund.amount),
    failure: failed ? (refund.failure_reason ?? 'unknown') : null,
    cause: refund.metadata?.refund ?? null,
  };
}

/** What Stripe's words mean to us; all others mean that the bank has not decided. */
const disputeStates: Readonly<Record<string, DisputeState['state']>> = {
  warning_needs_response: 'inquiry',
  warning_under_review: 'inquiry',
  won: 'won',
  warning_closed: 'won',
  prevented: 'won',
  lost: 'lost',
};

function disputeState(dispute: Stripe.Dispute): DisputeState {
  requireUsd(dispute);
  const { status } = dispute;
  const dueBy = dispute.evidence_details.due_by;
  return {
    disputeId: dispute.id,
    intentId: idOf(dispute.payment_intent),
    amountMicros: fromCents(dispute.amount),
    reason: dispute.reason,
    state: disputeStates[status] ?? 'open',
    takesEvidence: status === 'needs_response' || status === 'warning_needs_response',
    evidenceDueBy: dueBy === null ? null : new Date(dueBy * 1_000),
  };
}

function statementLine(line: Stripe.BalanceTransaction): StatementLine {
  requireUsd(line);
  return {
    id: line.id,
    type: line.type,
    sourceId: idOf(line.source),
    amountMicros: fromCents(line.amount),
    feeMicros: fromCents(line.fee),
    happenedAt: new Date(line.created * 1_000),
  };
}

function payoutAccountState(account: Stripe.Account): PayoutAccountState {
  return {
    accountId: account.id,
    takesTransfers: account.capabilities?.transfers === 'active',
    paysOut: account.payouts_enabled,
    detailsSubmitted: account.details_submitted,
    missing: account.requirements?.currently_due ?? [],
    disabledReason: account.requirements?.disabled_reason ?? null,
  };
}

function transferState(transfer: Stripe.Transfer): TransferState {
  requireUsd(transfer);
  return {
    transferId: transfer.id,
    accountId: idOf(transfer.destination) ?? '',
    amountMicros: fromCents(transfer.amount),
    reversedMicros: fromCents(transfer.amount_reversed),
    cause: transfer.metadata.payout ?? null,
  };
}

const eventForm = z.object({
  id: z.string().regex(/^evt_\w{1,200}$/),
  type: z.string().regex(/^[a-z0-9_.]{1,100}$/),
  created: z.number().int().min(0),
  account: z.string().max(200).optional(),
  data: z.object({ object: z.object({ id: z.string().max(200).optional() }) }),
});

function readEvent(
  stripe: Stripe,
  body: Buffer,
  signature: string | undefined,
  secrets: readonly Secret[],
  nowMs: number,
): GatewayEvent {
  const refuse = (why: string, cause?: unknown): never => {
    throw new AppError('stripe/bad-signature', { internal: why, cause });
  };
  if (secrets.length === 0) return refuse('STRIPE_WEBHOOK_SECRET is not set');
  const times = [...(signature ?? '').matchAll(/(?:^|,)\s*t=(\d{1,12})(?=,|$)/g)];
  if (signature === undefined || times.length !== 1) return refuse('the header has no time, or several');
  // The SDK takes any time in the future: a signature made for later could be kept and used for ever.
  if (Number(times[0]?.[1]) > nowMs / 1_000 + toleranceSeconds) return refuse('its time is in the future');
  let event: unknown;
  let problem: unknown;
  for (const secret of secrets) {
    try {
      event = stripe.webhooks.constructEvent(
        body,
        signature,
        secret.reveal(),
        toleranceSeconds,
        undefined,
        nowMs,
      );
      break;
    } catch (thrown) {
      problem = thrown;
    }
  }
  if (event === undefined) return refuse('the signature does not fit', problem);
  const parsed = eventForm.safeParse(event);
  if (!parsed.success) return refuse(`it is signed and no event: ${z.prettifyError(parsed.error)}`);
  const { id, type, created, account, data } = parsed.data;
  return {
    id,
    type,
    objectId: data.object.id ?? null,
    account: account ?? null,
    happenedAt: new Date(created * 1_000),
  };
}
