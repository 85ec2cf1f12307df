import { z } from 'zod';
import { endpoint, listOf } from './endpoint.ts';
import type { Charge, Refund } from './objects.ts';
import { amount, expand, metadata, page, text } from './params.ts';
import { invalid } from './refusal.ts';
import type { World } from './world.ts';

function refund(
  world: World,
  charge: Charge,
  cents: number,
  more: Pick<Refund, 'metadata' | 'reason'>,
): Refund {
  const left = charge.amount_captured - charge.amount_refunded;
  if (charge.disputed) throw invalid(`Charge ${charge.id} has been charged back.`, 'charge_disputed');
  if (left === 0) throw invalid(`Charge ${charge.id} has already been refunded.`, 'charge_already_refunded');
  if (cents > left) {
    throw invalid(
      `Refund amount ($${cents / 100}) is greater than unrefunded amount on charge ($${left / 100})`,
      undefined,
      'amount',
    );
  }
  const card = world.cardOf.get(charge.payment_method);
  const id = world.newId('re');
  const made = world.add('refund', {
    id,
    object: 'refund',
    amount: cents,
    balance_transaction: world.moveBalance({ type: 'refund', amount: -cents, source: id }).id,
    charge: charge.id,
    created: world.now(),
    currency: charge.currency,
    failure_balance_transaction: null,
    ...more,
    payment_intent: charge.payment_intent,
    status: card?.refundPends ? 'pending' : 'succeeded',
  });
  charge.amount_refunded += cents;
  charge.refunded = charge.amount_refunded === charge.amount_captured;
  world.emit('refund.created', made);
  world.emit('charge.refunded', charge);
  if (card?.refundFails) failRefund(world, made);
  return made;
}

/** The bank gives the money back to us: the account is closed or the card is gone. */
export function failRefund(world: World, made: Refund): void {
  made.status = 'failed';
  made.failure_reason = 'expired_or_canceled_card';
  const charge = world.get('charge', made.charge);
  charge.amount_refunded -= made.amount;
  charge.refunded = false;
  made.failure_balance_transaction = world.moveBalance({
    type: 'refund_failure',
    amount: made.amount,
    source: made.id,
    available: true,
  }).id;
  world.emit('refund.failed', made);
}

export function succeedRefund(world: World, made: Refund): void {
  made.status = 'succeeded';
  world.emit('refund.updated', made);
}

export const refundEndpoints = [
  endpoint(
    'POST',
    '/v1/refunds',
    z.strictObject({
      charge: text.optional(),
      payment_intent: text.optional(),
      amount: amount.optional(),
      reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer']).optional(),
      metadata: metadata.optional(),
      ...expand,
    }),
    (params, { world }) => {
      if ((params.charge === undefined) === (params.payment_intent === undefined)) {
        throw invalid(
          'One of the following params should be provided for this request: payment_intent or charge.',
        );
      }
      const chargeId =
        params.charge ??
        world.get('payment_intent', params.payment_intent ?? '', 'payment_intent').latest_charge ??
        '';
      const charge = world.get('charge', chargeId, 'charge');
      if (!charge.captured) throw invalid(`This PaymentIntent does not have a successful charge to refund.`);
      return refund(world, charge, params.amount ?? charge.amount_captured - charge.amount_refunded, {
        metadata: params.metadata ?? {},
        reason: params.reason ?? null,
      });
    },
  ),
  endpoint('GET', '/v1/refunds/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('refund', path.id ?? ''),
  ),
  endpoint(
    'GET',
    '/v1/refunds',
    z.strictObject({ ...page, charge: text.optional(), payment_intent: text.optional() }),
    (params, { world }) =>
      listOf(
        '/v1/refunds',
        world
          .all('refund')
          .filter((one) => params.charge === undefined || one.charge === params.charge)
          .filter(
            (one) => params.payment_intent === undefined || one.payment_intent === params.payment_intent,
          ),
        params,
      ),
  ),
];
