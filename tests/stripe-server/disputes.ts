import { z } from 'zod';
import { endpoint, listOf } from './endpoint.ts';
import { invalid } from './refusal.ts';
import type { Charge, Dispute } from './objects.ts';
import { expand, flag, metadata, page, text } from './params.ts';
import { disputeFee, type World } from './world.ts';

const evidenceDays = 9;

/** The card holder's bank takes the money back at once and asks for evidence. */
export function openDispute(world: World, charge: Charge, reason: string): Dispute {
  if (charge.disputed) throw invalid(`Charge ${charge.id} is disputed already.`);
  charge.disputed = true;
  const id = world.newId('du');
  const dispute = world.add('dispute', {
    id,
    object: 'dispute',
    amount: charge.amount_captured - charge.amount_refunded,
    balance_transactions: [],
    charge: charge.id,
    created: world.now(),
    currency: charge.currency,
    evidence: {},
    evidence_details: {
      due_by: world.now() + evidenceDays * 86_400,
      has_evidence: false,
      past_due: false,
      submission_count: 0,
    },
    is_charge_refundable: false,
    livemode: false,
    metadata: {},
    payment_intent: charge.payment_intent,
    reason,
    status: 'needs_response',
  });
  dispute.balance_transactions.push(
    world.moveBalance({ type: 'adjustment', amount: -dispute.amount, fee: disputeFee, source: id }),
  );
  world.emit('charge.dispute.created', dispute);
  world.emit('charge.dispute.funds_withdrawn', dispute);
  return dispute;
}

/** The bank decides. Won: the amount comes back; Stripe keeps its fee. */
export function closeDispute(world: World, dispute: Dispute, outcome: 'won' | 'lost'): Dispute {
  if (dispute.status === 'won' || dispute.status === 'lost')
    throw invalid(`The dispute is ${dispute.status} already.`);
  dispute.status = outcome;
  if (outcome === 'won') {
    dispute.balance_transactions.push(
      world.moveBalance({ type: 'adjustment', amount: dispute.amount, source: dispute.id, available: true }),
    );
    world.emit('charge.dispute.funds_reinstated', dispute);
  }
  world.emit('charge.dispute.closed', dispute);
  return dispute;
}

const evidence = z.strictObject({
  access_activity_log: z.string().max(20_000).optional(),
  customer_email_address: text.optional(),
  customer_name: text.optional(),
  customer_purchase_ip: text.optional(),
  product_description: z.string().max(20_000).optional(),
  service_date: text.optional(),
  uncategorized_text: z.string().max(20_000).optional(),
});

export const disputeEndpoints = [
  endpoint('GET', '/v1/disputes/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('dispute', path.id ?? ''),
  ),
  endpoint(
    'GET',
    '/v1/disputes',
    z.strictObject({ ...page, charge: text.optional(), payment_intent: text.optional() }),
    (params, { world }) =>
      listOf(
        '/v1/disputes',
        world
          .all('dispute')
          .filter((dispute) => params.charge === undefined || dispute.charge === params.charge)
          .filter(
            (dispute) =>
              params.payment_intent === undefined || dispute.payment_intent === params.payment_intent,
          ),
        params,
      ),
  ),
  endpoint(
    'POST',
    '/v1/disputes/:id',
    z.strictObject({
      evidence: evidence.optional(),
      submit: flag.optional(),
      metadata: metadata.optional(),
      ...expand,
    }),
    (params, { world, path }) => {
      const dispute = world.get('dispute', path.id ?? '');
      if (dispute.status !== 'needs_response') {
        throw invalid(`This dispute is ${dispute.status}: evidence can no longer be given.`);
      }
      const size = Object.values({ ...dispute.evidence, ...params.evidence }).reduce(
        (sum, value) => sum + (value?.length ?? 0),
        0,
      );
      if (size > 150_000)
        throw invalid(
          'The combined character count of evidence is above 150,000.',
          'parameter_invalid',
          'evidence',
        );
      Object.assign(dispute.evidence, params.evidence ?? {});
      dispute.evidence_details.has_evidence ||= params.evidence !== undefined;
      if (params.submit !== false && params.evidence !== undefined) {
        dispute.evidence_details.submission_count += 1;
        dispute.status = 'under_review';
      }
      world.emit('charge.dispute.updated', dispute);
      return dispute;
    },
  ),
  endpoint('POST', '/v1/disputes/:id/close', z.strictObject(expand), (_params, { world, path }) =>
    closeDispute(world, world.get('dispute', path.id ?? ''), 'lost'),
  ),
];
