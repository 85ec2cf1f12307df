import { z } from 'zod';
import { attach, takePaymentMethod } from './customers.ts';
import { endpoint } from './endpoint.ts';
import type { SetupIntent } from './objects.ts';
import { expand, flag, metadata, text, url } from './params.ts';
import { invalid, Refusal } from './refusal.ts';
import type { World } from './world.ts';

export function createSetup(
  world: World,
  params: {
    customer: string | null;
    usage?: 'off_session' | 'on_session' | undefined;
    metadata?: Record<string, string> | undefined;
  },
): SetupIntent {
  const id = world.newId('seti');
  const setup = world.add('setup_intent', {
    id,
    object: 'setup_intent',
    client_secret: `${id}_secret_standin`,
    created: world.now(),
    customer: params.customer,
    last_setup_error: null,
    livemode: false,
    metadata: params.metadata ?? {},
    payment_method: null,
    status: 'requires_payment_method',
    usage: params.usage ?? 'off_session',
  });
  world.emit('setup_intent.created', setup);
  return setup;
}

/** Saves a card at the customer, or says why the bank does not want that. */
export function confirmSetup(world: World, setup: SetupIntent, cardOrMethod: string): SetupIntent {
  if (setup.status === 'succeeded' || setup.status === 'canceled') {
    throw invalid(
      `You cannot confirm this SetupIntent because it has a status of ${setup.status}.`,
      'setup_intent_unexpected_state',
    );
  }
  const method = takePaymentMethod(world, cardOrMethod);
  try {
    if (setup.customer !== null) attach(world, method, setup.customer);
  } catch (thrown) {
    if (thrown instanceof Refusal && thrown.type === 'card_error') {
      setup.last_setup_error = {
        type: 'card_error',
        code: String(thrown.more.code),
        message: thrown.message,
      };
      world.emit('setup_intent.setup_failed', setup);
    }
    throw thrown;
  }
  setup.payment_method = method.id;
  setup.status = 'succeeded';
  world.emit('setup_intent.succeeded', setup);
  return setup;
}

export const setupEndpoints = [
  endpoint(
    'POST',
    '/v1/setup_intents',
    z.strictObject({
      customer: text.optional(),
      usage: z.enum(['off_session', 'on_session']).optional(),
      payment_method: text.optional(),
      allowed_payment_method_types: z.array(z.literal('card')).optional(),
      automatic_payment_methods: z
        .strictObject({ enabled: flag, allow_redirects: z.enum(['always', 'never']).optional() })
        .optional(),
      confirm: flag.optional(),
      return_url: url.optional(),
      metadata: metadata.optional(),
      ...expand,
    }),
    (params, { world }) => {
      const setup = createSetup(world, { ...params, customer: world.customer(params.customer) });
      if (params.confirm === true && params.payment_method !== undefined)
        confirmSetup(world, setup, params.payment_method);
      return setup;
    },
  ),
  endpoint(
    'POST',
    '/v1/setup_intents/:id/confirm',
    z.strictObject({ payment_method: text, return_url: url.optional(), ...expand }),
    (params, { world, path }) =>
      confirmSetup(world, world.get('setup_intent', path.id ?? ''), params.payment_method),
  ),
  endpoint('POST', '/v1/setup_intents/:id/cancel', z.strictObject(expand), (_params, { world, path }) => {
    const setup = world.get('setup_intent', path.id ?? '');
    setup.status = 'canceled';
    return setup;
  }),
  endpoint('GET', '/v1/setup_intents/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('setup_intent', path.id ?? ''),
  ),
];
