import { z } from 'zod';
import { takePaymentMethod, attach } from './customers.ts';
import { endpoint, listOf } from './endpoint.ts';
import { openDispute } from './disputes.ts';
import type { Charge, PaymentIntent, PaymentMethod } from './objects.ts';
import { amount, created, currency, expand, flag, isWithin, metadata, page, text, url } from './params.ts';
import { invalid, Refusal } from './refusal.ts';
import { chargeFee, type World } from './world.ts';

/** Stripe's least charge, cents. */
const leastCents = 50;

export function createIntent(
  world: World,
  params: Pick<PaymentIntent, 'amount' | 'currency'> &
    Partial<
      Pick<
        PaymentIntent,
        | 'customer'
        | 'description'
        | 'metadata'
        | 'setup_future_usage'
        | 'transfer_group'
        | 'capture_method'
        | 'payment_method'
      >
    >,
): PaymentIntent {
  world.requireUsd(params.currency);
  if (params.amount < leastCents) {
    throw invalid('Amount must be at least $0.50 usd', 'amount_too_small', 'amount');
  }
  const id = world.newId('pi');
  const intent = world.add('payment_intent', {
    id,
    object: 'payment_intent',
    amount: params.amount,
    amount_capturable: 0,
    amount_received: 0,
    cancellation_reason: null,
    canceled_at: null,
    capture_method: params.capture_method ?? 'automatic_async',
    client_secret: `${id}_secret_standin`,
    created: world.now(),
    currency: params.currency,
    customer: params.customer ?? null,
    description: params.description ?? null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    metadata: params.metadata ?? {},
    next_action: null,
    payment_method: params.payment_method ?? null,
    setup_future_usage: params.setup_future_usage ?? null,
    status: params.payment_method ? 'requires_confirmation' : 'requires_payment_method',
    transfer_group: params.transfer_group ?? null,
  });
  world.emit('payment_intent.created', intent);
  return intent;
}

interface Confirm {
  paymentMethod?: string | undefined;
  offSession: boolean;
  returnUrl?: string | undefined;
  /** The card holder has authenticated. */
  authenticated?: boolean;
}

/** Takes the money, or says why not. A decline leaves the intent open for another card. */
export function confirmIntent(world: World, intent: PaymentIntent, confirm: Confirm): PaymentIntent {
  const open = ['requires_payment_method', 'requires_confirmation', 'requires_action'];
  if (!open.includes(intent.status)) throw unexpected(intent, 'confirm');
  const given = confirm.paymentMethod ?? intent.payment_method;
  if (given === null) {
    throw invalid(
      'You cannot confirm this PaymentIntent because it is missing a payment method.',
      'payment_intent_unexpected_state',
    );
  }
  const method = takePaymentMethod(world, given);
  if (method.customer !== null && method.customer !== intent.customer) {
    throw invalid(
      'The provided PaymentMethod is attached to another Customer.',
      'payment_method_customer_decline',
      'payment_method',
    );
  }
  intent.payment_method = method.id;
  const card = world.cardOf.get(method.id);
  if (card?.decline) {
    const { code, declineCode, message } = card.decline;
    throw decline(world, intent, method, code, declineCode, message);
  }
  const mustAuthenticate =
    card?.authentication === 'always' || (card?.authentication === 'setup' && method.customer === null);
  if (mustAuthenticate && confirm.authenticated !== true) {
    if (confirm.offSession) {
      throw decline(
        world,
        intent,
        method,
        'authentication_required',
        'authentication_required',
        'Your card was declined. This transaction requires authentication.',
      );
    }
    const page = world.newId('auth');
    world.pages.set(page, {
      kind: 'authentication',
      subject: intent.id,
      returnUrl: confirm.returnUrl ?? null,
    });
    intent.status = 'requires_action';
    intent.next_action = {
      type: 'redirect_to_url',
      redirect_to_url: { url: `${world.baseUrl}/pages/${page}`, return_url: confirm.returnUrl ?? null },
    };
    world.emit('payment_intent.requires_action', intent);
    return intent;
  }
  if (intent.setup_future_usage !== null && intent.customer !== null) attach(world, method, intent.customer);
  intent.next_action = null;
  intent.last_payment_error = null;
  const charge = addCharge(world, intent, method);
  intent.latest_charge = charge.id;
  if (intent.capture_method === 'manual') {
    intent.status = 'requires_capture';
    intent.amount_capturable = intent.amount;
    world.emit('payment_intent.amount_capturable_updated', intent);
    return intent;
  }
  capture(world, intent, charge, intent.amount);
  return intent;
}

function capture(world: World, intent: PaymentIntent, charge: Charge, cents: number): void {
  const card = world.cardOf.get(charge.payment_method);
  charge.captured = true;
  charge.amount_captured = cents;
  charge.balance_transaction = world.moveBalance({
    type: 'charge',
    amount: cents,
    fee: chargeFee(cents),
    source: charge.id,
    available: card?.bypassesPending === true,
  }).id;
  intent.status = 'succeeded';
  intent.amount_capturable = 0;
  intent.amount_received = cents;
  world.emit('charge.succeeded', charge);
  world.emit('payment_intent.succeeded', intent);
  if (card?.disputes !== undefined) openDispute(world, charge, card.disputes);
}

function addCharge(
  world: World,
  intent: PaymentIntent,
  method: PaymentMethod,
  failure?: { code: string; message: string },
): Charge {
  return world.add('charge', {
    id: world.newId('ch'),
    object: 'charge',
    amount: intent.amount,
    amount_captured: 0,
    amount_refunded: 0,
    balance_transaction: null,
    captured: false,
    created: world.now(),
    currency: intent.currency,
    customer: intent.customer,
    disputed: false,
    failure_code: failure?.code ?? null,
    failure_message: failure?.message ?? null,
    livemode: false,
    metadata: { ...intent.metadata },
    paid: failure === undefined,
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: { type: 'card', card: method.card },
    refunded: false,
    status: failure === undefined ? 'succeeded' : 'failed',
    transfer_group: intent.transfer_group,
  });
}

function decline(
  world: World,
  intent: PaymentIntent,
  method: PaymentMethod,
  code: string,
  declineCode: string | undefined,
  message: string,
): Refusal {
  const charge = addCharge(world, intent, method, { code, message });
  intent.latest_charge = charge.id;
  intent.status = 'requires_payment_method';
  intent.payment_method = null;
  const declined = declineCode === undefined ? {} : { decline_code: declineCode };
  intent.last_payment_error = { type: 'card_error', code, ...declined, message };
  world.emit('charge.failed', charge);
  world.emit('payment_intent.payment_failed', intent);
  return new Refusal(402, 'card_error', message, {
    code,
    ...declined,
    charge: charge.id,
    payment_intent: structuredClone(intent),
  });
}

function unexpected(intent: PaymentIntent, verb: string): Refusal {
  return new Refusal(
    400,
    'invalid_request_error',
    `You cannot ${verb} this PaymentIntent because it has a status of ${intent.status}.`,
    { code: 'payment_intent_unexpected_state', payment_intent: structuredClone(intent) },
  );
}

const confirmFields = {
  payment_method: text.optional(),
  off_session: flag.optional(),
  return_url: url.optional(),
  ...expand,
};

export const paymentEndpoints = [
  endpoint(
    'POST',
    '/v1/payment_intents',
    z.strictObject({
      amount,
      currency,
      customer: text.optional(),
      description: text.optional(),
      metadata: metadata.optional(),
      capture_method: z.enum(['automatic', 'automatic_async', 'manual']).optional(),
      setup_future_usage: z.enum(['off_session', 'on_session']).optional(),
      transfer_group: text.optional(),
      automatic_payment_methods: z
        .strictObject({ enabled: flag, allow_redirects: z.enum(['always', 'never']).optional() })
        .optional(),
      allowed_payment_method_types: z.array(z.literal('card')).optional(),
      receipt_email: text.optional(),
      confirm: flag.optional(),
      ...confirmFields,
    }),
    (params, { world }) => {
      if (params.off_session === true && params.confirm !== true) {
        throw invalid(
          'The parameter `off_session` can only be used when `confirm` is true.',
          'parameter_invalid',
          'off_session',
        );
      }
      const method =
        params.payment_method === undefined ? null : takePaymentMethod(world, params.payment_method);
      const intent = createIntent(world, {
        ...params,
        customer: world.customer(params.customer),
        description: params.description ?? null,
        metadata: params.metadata ?? {},
        setup_future_usage: params.setup_future_usage ?? null,
        transfer_group: params.transfer_group ?? null,
        capture_method: params.capture_method ?? 'automatic_async',
        payment_method: method?.id ?? null,
      });
      if (params.confirm !== true) return intent;
      return confirmIntent(world, intent, {
        offSession: params.off_session === true,
        returnUrl: params.return_url,
      });
    },
  ),
  endpoint(
    'POST',
    '/v1/payment_intents/:id/confirm',
    z.strictObject(confirmFields),
    (params, { world, path }) =>
      confirmIntent(world, world.get('payment_intent', path.id ?? '', 'intent'), {
        paymentMethod: params.payment_method,
        offSession: params.off_session === true,
        returnUrl: params.return_url,
      }),
  ),
  endpoint(
    'POST',
    '/v1/payment_intents/:id/capture',
    z.strictObject({ amount_to_capture: amount.optional(), ...expand }),
    (params, { world, path }) => {
      const intent = world.get('payment_intent', path.id ?? '', 'intent');
      if (intent.status !== 'requires_capture') throw unexpected(intent, 'capture');
      const cents = params.amount_to_capture ?? intent.amount;
      if (cents > intent.amount) {
        throw invalid(
          'The amount to capture is larger than the amount authorised.',
          'amount_too_large',
          'amount_to_capture',
        );
      }
      capture(world, intent, world.get('charge', intent.latest_charge ?? ''), cents);
      return intent;
    },
  ),
  endpoint(
    'POST',
    '/v1/payment_intents/:id/cancel',
    z.strictObject({
      cancellation_reason: z
        .enum(['duplicate', 'fraudulent', 'requested_by_customer', 'abandoned'])
        .optional(),
      ...expand,
    }),
    (params, { world, path }) => {
      const intent = world.get('payment_intent', path.id ?? '', 'intent');
      if (['succeeded', 'canceled', 'processing'].includes(intent.status)) throw unexpected(intent, 'cancel');
      intent.status = 'canceled';
      intent.canceled_at = world.now();
      intent.cancellation_reason = params.cancellation_reason ?? null;
      intent.amount_capturable = 0;
      intent.next_action = null;
      world.emit('payment_intent.canceled', intent);
      return intent;
    },
  ),
  endpoint(
    'GET',
    '/v1/payment_intents/:id',
    z.strictObject({ client_secret: text.optional(), ...expand }),
    (_params, { world, path }) => world.get('payment_intent', path.id ?? '', 'intent'),
  ),
  endpoint(
    'GET',
    '/v1/payment_intents',
    z.strictObject({ ...page, ...created, customer: text.optional() }),
    (params, { world }) =>
      listOf(
        '/v1/payment_intents',
        world
          .all('payment_intent')
          .filter((intent) => params.customer === undefined || intent.customer === params.customer)
          .filter((intent) => isWithin(intent.created, params.created)),
        params,
      ),
  ),
  endpoint('GET', '/v1/charges/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('charge', path.id ?? '', 'charge'),
  ),
  endpoint(
    'GET',
    '/v1/charges',
    z.strictObject({ ...page, ...created, customer: text.optional(), payment_intent: text.optional() }),
    (params, { world }) =>
      listOf(
        '/v1/charges',
        world
          .all('charge')
          .filter((charge) => params.customer === undefined || charge.customer === params.customer)
          .filter(
            (charge) =>
              params.payment_intent === undefined || charge.payment_intent === params.payment_intent,
          )
          .filter((charge) => isWithin(charge.created, params.created)),
        params,
      ),
  ),
];
