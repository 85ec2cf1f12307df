import { z } from 'zod';
import { endpoint, listOf } from './endpoint.ts';
import { invalid } from './refusal.ts';
import type { CheckoutSession } from './objects.ts';
import { amount, currency, expand, int, metadata, page, text, url } from './params.ts';
import { confirmIntent, createIntent } from './payments.ts';
import { confirmSetup, createSetup } from './setups.ts';
import type { World } from './world.ts';

interface SessionSecrets {
  paymentIntentData: {
    metadata?: Record<string, string> | undefined;
    setup_future_usage?: 'off_session' | 'on_session' | undefined;
    description?: string | undefined;
    transfer_group?: string | undefined;
  };
  setupMetadata: Record<string, string> | undefined;
}
/** What a session needs later and does not show. */
const secrets = new WeakMap<CheckoutSession, SessionSecrets>();

/**
 * What the person on the checkout page does: pays, or saves the card, with this test card. As at Stripe, the
 * PaymentIntent is made here and not with the session.
 */
export function completeCheckout(world: World, session: CheckoutSession, card: string): CheckoutSession {
  if (session.status !== 'open') throw invalid(`This Checkout Session is ${session.status}.`);
  if (session.expires_at <= world.now()) {
    expireSession(world, session);
    throw invalid('This Checkout Session has expired.');
  }
  const data = secrets.get(session);
  if (session.mode === 'setup') {
    const setup = createSetup(world, { customer: session.customer, metadata: data?.setupMetadata });
    session.setup_intent = setup.id;
    confirmSetup(world, setup, card);
  } else {
    // A person who tries a second card after a decline does so with the same intent.
    const intent =
      session.payment_intent === null
        ? createIntent(world, {
            amount: session.amount_total ?? 0,
            currency: session.currency ?? 'usd',
            customer: session.customer,
            description: data?.paymentIntentData.description ?? null,
            metadata: data?.paymentIntentData.metadata ?? {},
            setup_future_usage: data?.paymentIntentData.setup_future_usage ?? null,
            transfer_group: data?.paymentIntentData.transfer_group ?? null,
          })
        : world.get('payment_intent', session.payment_intent);
    session.payment_intent = intent.id;
    // The page asks for authentication by itself; the person passes it.
    confirmIntent(world, intent, { paymentMethod: card, offSession: false, authenticated: true });
    session.payment_status = 'paid';
  }
  session.status = 'complete';
  session.url = null;
  world.emit('checkout.session.completed', session);
  return session;
}

function expireSession(world: World, session: CheckoutSession): void {
  session.status = 'expired';
  session.url = null;
  world.emit('checkout.session.expired', session);
}

const priceData = z.strictObject({
  currency,
  unit_amount: amount,
  product_data: z.strictObject({ name: text, description: text.optional() }),
});

export const checkoutEndpoints = [
  endpoint(
    'POST',
    '/v1/checkout/sessions',
    z.strictObject({
      mode: z.enum(['payment', 'setup']),
      customer: text.optional(),
      currency: currency.optional(),
      client_reference_id: text.optional(),
      success_url: url,
      cancel_url: url.optional(),
      expires_at: int.optional(),
      line_items: z
        .array(z.strictObject({ price_data: priceData, quantity: int }))
        .max(100)
        .optional(),
      payment_intent_data: z
        .strictObject({
          metadata: metadata.optional(),
          setup_future_usage: z.enum(['off_session', 'on_session']).optional(),
          description: text.optional(),
          transfer_group: text.optional(),
        })
        .optional(),
      setup_intent_data: z.strictObject({ metadata: metadata.optional() }).optional(),
      allowed_payment_method_types: z.array(z.literal('card')).optional(),
      metadata: metadata.optional(),
      ...expand,
    }),
    (params, { world }) => {
      const isPayment = params.mode === 'payment';
      if (isPayment && !params.line_items?.length) {
        throw invalid(
          'You must pass `line_items` when creating a payment mode Checkout Session.',
          'parameter_missing',
          'line_items',
        );
      }
      if (!isPayment && params.line_items) {
        throw invalid('You can not pass `line_items` in `setup` mode.', 'parameter_invalid', 'line_items');
      }
      if (!isPayment && params.currency === undefined && params.allowed_payment_method_types === undefined) {
        throw invalid(
          'You must pass `currency` or `allowed_payment_method_types` in `setup` mode.',
          'parameter_missing',
          'currency',
        );
      }
      const used = params.line_items?.[0]?.price_data.currency ?? params.currency ?? 'usd';
      world.requireUsd(used);
      const expiresAt = params.expires_at ?? world.now() + 86_400;
      if (expiresAt < world.now() + 1_800 || expiresAt > world.now() + 86_400) {
        throw invalid(
          'The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.',
          'parameter_invalid',
          'expires_at',
        );
      }
      const total =
        params.line_items?.reduce((sum, item) => sum + item.price_data.unit_amount * item.quantity, 0) ??
        null;
      if (total !== null && total < 50) {
        throw invalid(
          'The Checkout Session total amount must convert to at least 50 cents.',
          'amount_too_small',
        );
      }
      const id = world.newId('cs_test');
      const session = world.add('checkout.session', {
        id,
        object: 'checkout.session',
        amount_total: total,
        cancel_url: params.cancel_url ?? null,
        client_reference_id: params.client_reference_id ?? null,
        created: world.now(),
        currency: used,
        customer: world.customer(params.customer),
        expires_at: expiresAt,
        livemode: false,
        metadata: params.metadata ?? {},
        mode: params.mode,
        payment_intent: null,
        payment_status: isPayment ? 'unpaid' : 'no_payment_required',
        setup_intent: null,
        status: 'open',
        success_url: params.success_url,
        url: `${world.baseUrl}/pay/${id}`,
      });
      secrets.set(session, {
        paymentIntentData: params.payment_intent_data ?? {},
        setupMetadata: params.setup_intent_data?.metadata,
      });
      return session;
    },
  ),
  endpoint('POST', '/v1/checkout/sessions/:id/expire', z.strictObject(expand), (_params, { world, path }) => {
    const session = world.get('checkout.session', path.id ?? '');
    if (session.status !== 'open') {
      throw invalid(
        `Only Checkout Sessions with a status in ["open"] can be expired. This one is ${session.status}.`,
      );
    }
    expireSession(world, session);
    return session;
  }),
  endpoint('GET', '/v1/checkout/sessions/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('checkout.session', path.id ?? ''),
  ),
  endpoint(
    'GET',
    '/v1/checkout/sessions',
    z.strictObject({ ...page, customer: text.optional(), payment_intent: text.optional() }),
    (params, { world }) =>
      listOf(
        '/v1/checkout/sessions',
        world
          .all('checkout.session')
          .filter((session) => params.customer === undefined || session.customer === params.customer)
          .filter(
            (session) =>
              params.payment_intent === undefined || session.payment_intent === params.payment_intent,
          ),
        params,
      ),
  ),
];
