import { z } from 'zod';
import { findTestCard } from './cards.ts';
import { endpoint, listOf } from './endpoint.ts';
import type { PaymentMethod } from './objects.ts';
import { expand, int, metadata, page, text } from './params.ts';
import { Refusal, invalid, missing } from './refusal.ts';
import type { World } from './world.ts';

/**
 * A PaymentMethod to work with: an existing one, or a new one of a test card (`pm_card_visa`, or a number on
 * the stand-in's pages), which Stripe makes anew at each use too.
 */
export function takePaymentMethod(world: World, idOrNumber: string): PaymentMethod {
  const existing = world.find('payment_method', idOrNumber);
  if (existing) return existing;
  const card = findTestCard(idOrNumber);
  if (!card) throw missing('PaymentMethod', idOrNumber, 'payment_method');
  const method = world.add('payment_method', {
    id: world.newId('pm'),
    object: 'payment_method',
    created: world.now(),
    livemode: false,
    metadata: {},
    type: 'card',
    customer: null,
    card: {
      brand: card.brand,
      last4: card.number.slice(-4),
      exp_month: 12,
      exp_year: new Date().getUTCFullYear() + 3,
      fingerprint: `fingerprint${card.number.slice(-4)}`,
      country: 'US',
    },
  });
  world.cardOf.set(method.id, card);
  return method;
}

/** Saves a card at a customer. A card that the bank refuses cannot be saved. */
export function attach(world: World, method: PaymentMethod, customer: string): void {
  if (method.customer !== null && method.customer !== customer) {
    throw invalid(
      'The payment method you provided is attached to another customer.',
      'payment_method_unexpected_state',
    );
  }
  const card = world.cardOf.get(method.id);
  if (card?.decline && !card.savable) {
    const { code, declineCode, message } = card.decline;
    throw new Refusal(402, 'card_error', message, {
      code,
      ...(declineCode === undefined ? {} : { decline_code: declineCode }),
    });
  }
  if (method.customer === customer) return;
  method.customer = customer;
  world.emit('payment_method.attached', method);
}

const customerFields = {
  email: text.optional(),
  name: text.optional(),
  description: text.optional(),
  metadata: metadata.optional(),
  ...expand,
};

export const customerEndpoints = [
  endpoint('POST', '/v1/customers', z.strictObject(customerFields), (params, { world }) => {
    const customer = world.add('customer', {
      id: world.newId('cus'),
      object: 'customer',
      created: world.now(),
      email: params.email ?? null,
      name: params.name ?? null,
      livemode: false,
      metadata: params.metadata ?? {},
    });
    world.emit('customer.created', customer);
    return customer;
  }),
  endpoint('GET', '/v1/customers/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('customer', path.id ?? ''),
  ),
  endpoint('POST', '/v1/customers/:id', z.strictObject(customerFields), (params, { world, path }) => {
    const customer = world.get('customer', path.id ?? '');
    if (params.email !== undefined) customer.email = params.email;
    if (params.name !== undefined) customer.name = params.name;
    Object.assign(customer.metadata, params.metadata ?? {});
    return customer;
  }),
  endpoint('GET', '/v1/customers', z.strictObject({ ...page, email: text.optional() }), (params, { world }) =>
    listOf(
      '/v1/customers',
      world.all('customer').filter(({ email }) => params.email === undefined || email === params.email),
      params,
    ),
  ),
  endpoint(
    'GET',
    '/v1/customers/:id/payment_methods',
    z.strictObject({ ...page, type: z.enum(['card']).optional() }),
    (params, { world, path }) => {
      const { id } = world.get('customer', path.id ?? '');
      const theirs = world.all('payment_method').filter(({ customer }) => customer === id);
      return listOf(`/v1/customers/${id}/payment_methods`, theirs, params);
    },
  ),
  endpoint(
    'GET',
    '/v1/payment_methods',
    z.strictObject({ ...page, customer: text, type: z.enum(['card']).optional() }),
    (params, { world }) => {
      const theirs = world.all('payment_method').filter(({ customer }) => customer === params.customer);
      return listOf('/v1/payment_methods', theirs, params);
    },
  ),
  endpoint(
    'POST',
    '/v1/payment_methods',
    z.strictObject({
      type: z.literal('card'),
      card: z.strictObject({ number: text, exp_month: int, exp_year: int, cvc: text.optional() }),
      metadata: metadata.optional(),
      ...expand,
    }),
    ({ card }, { world }) => {
      const method = takePaymentMethod(world, card.number);
      Object.assign(method.card, { exp_month: card.exp_month, exp_year: card.exp_year });
      return method;
    },
  ),
  endpoint('GET', '/v1/payment_methods/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('payment_method', path.id ?? ''),
  ),
  endpoint(
    'POST',
    '/v1/payment_methods/:id/attach',
    z.strictObject({ customer: text, ...expand }),
    (params, { world, path }) => {
      const method = takePaymentMethod(world, path.id ?? '');
      attach(world, method, world.get('customer', params.customer, 'customer').id);
      return method;
    },
  ),
  endpoint('POST', '/v1/payment_methods/:id/detach', z.strictObject(expand), (_params, { world, path }) => {
    const method = world.get('payment_method', path.id ?? '');
    if (method.customer === null) {
      throw invalid(
        'The payment method you provided is not attached to a customer so detachment is impossible.',
      );
    }
    method.customer = null;
    world.emit('payment_method.detached', method);
    return method;
  }),
];
