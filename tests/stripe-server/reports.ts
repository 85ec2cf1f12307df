import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { endpoint, listOf } from './endpoint.ts';
import { created, expand, isWithin, page, text, url } from './params.ts';

/** What there is to read about the account as a whole: its balance, its statement, its events. */
export const reportEndpoints = [
  endpoint('GET', '/v1/balance', z.strictObject(expand), (_params, { world, account }) => {
    const { available, pending } = world.balance(account);
    const of = (amount: number) => [{ amount, currency: 'usd', source_types: { card: amount } }];
    return { object: 'balance', available: of(available), pending: of(pending), livemode: false };
  }),
  endpoint('GET', '/v1/balance_transactions/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('balance_transaction', path.id ?? ''),
  ),
  endpoint(
    'GET',
    '/v1/balance_transactions',
    z.strictObject({
      ...page,
      ...created,
      type: text.optional(),
      source: text.optional(),
      payout: text.optional(),
    }),
    (params, { world, account }) =>
      listOf(
        '/v1/balance_transactions',
        world
          .all('balance_transaction', account)
          .filter(({ type }) => params.type === undefined || type === params.type)
          .filter(({ source }) => params.source === undefined || source === params.source)
          .filter((one) => isWithin(one.created, params.created)),
        params,
      ),
  ),
  endpoint('GET', '/v1/events/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('event', path.id ?? ''),
  ),
  endpoint(
    'GET',
    '/v1/events',
    z.strictObject({ ...page, ...created, type: text.optional(), types: z.array(text).max(20).optional() }),
    (params, { world }) =>
      listOf(
        '/v1/events',
        world
          .all('event')
          .filter(({ type }) => params.type === undefined || type === params.type)
          .filter(({ type }) => params.types === undefined || params.types.includes(type))
          .filter((one) => isWithin(one.created, params.created)),
        params,
      ),
  ),
  endpoint(
    'POST',
    '/v1/webhook_endpoints',
    z.strictObject({ url, enabled_events: z.array(text).min(1), description: text.optional(), ...expand }),
    (params, { world }) =>
      world.add('webhook_endpoint', {
        id: world.newId('we'),
        object: 'webhook_endpoint',
        created: world.now(),
        url: params.url,
        enabled_events: params.enabled_events,
        status: 'enabled',
        livemode: false,
        secret: `whsec_${randomBytes(16).toString('hex')}`,
      }),
  ),
];
