import { z } from 'zod';
import { completeCheckout } from './checkout.ts';
import { completeOnboarding, failPayout, payPayout, restrictAccount } from './connect.ts';
import { closeDispute, openDispute } from './disputes.ts';
import { faultForm, type Faults } from './faults.ts';
import { confirmIntent } from './payments.ts';
import { failRefund, succeedRefund } from './refunds.ts';
import type { WebhookDelivery } from './webhook-delivery.ts';
import type { World } from './world.ts';

export interface ControlDeps {
  world: World;
  faults: Faults;
  webhooks: WebhookDelivery;
}

/**
 * What Stripe has no API for: the acts of people and banks, time, and what goes wrong. `POST /_control/<act>`
 * with a JSON body; a test in the same process calls this function.
 */
export async function control(deps: ControlDeps, act: string, body: unknown): Promise<object> {
  const { world, faults, webhooks } = deps;
  const one = z.looseObject({ id: z.string() });
  switch (act) {
    case 'faults':
      faults.add(faultForm.parse(body));
      return {};
    case 'clear-faults':
      faults.clear();
      return {};
    case 'pay-checkout': {
      const { id, card } = z
        .strictObject({ id: z.string(), card: z.string().default('pm_card_visa') })
        .parse(body);
      return completeCheckout(world, world.get('checkout.session', id), card);
    }
    case 'confirm-intent': {
      // What Stripe.js does in the browser of a person who is there.
      const { id, card } = z
        .strictObject({ id: z.string(), card: z.string().default('pm_card_visa') })
        .parse(body);
      const intent = world.get('payment_intent', id);
      return confirmIntent(world, intent, { paymentMethod: card, offSession: false, authenticated: true });
    }
    case 'authenticate': {
      const intent = world.get('payment_intent', one.parse(body).id);
      return confirmIntent(world, intent, { offSession: false, authenticated: true });
    }
    case 'dispute': {
      const { id, reason } = z
        .strictObject({ id: z.string(), reason: z.string().default('fraudulent') })
        .parse(body);
      return openDispute(world, world.get('charge', id), reason);
    }
    case 'close-dispute': {
      const { id, outcome } = z
        .strictObject({ id: z.string(), outcome: z.enum(['won', 'lost']) })
        .parse(body);
      return closeDispute(world, world.get('dispute', id), outcome);
    }
    case 'fail-refund':
      failRefund(world, world.get('refund', one.parse(body).id));
      return {};
    case 'succeed-refund':
      succeedRefund(world, world.get('refund', one.parse(body).id));
      return {};
    case 'complete-onboarding':
      completeOnboarding(world, world.get('account', one.parse(body).id));
      return {};
    case 'restrict-account':
      restrictAccount(world, world.get('account', one.parse(body).id));
      return {};
    case 'pay-payout':
    case 'fail-payout': {
      const { id, account } = z.strictObject({ id: z.string(), account: z.string().optional() }).parse(body);
      const settle = act === 'pay-payout' ? payPayout : failPayout;
      settle(world, world.get('payout', id), account);
      return {};
    }
    case 'adjust-balance': {
      // Something that the market knows nothing of.
      const { cents } = z.strictObject({ cents: z.number().int() }).parse(body);
      return world.moveBalance({ type: 'adjustment', amount: cents, source: null, available: true });
    }
    case 'advance': {
      const { seconds } = z.strictObject({ seconds: z.number().int().min(0) }).parse(body);
      world.advance(seconds);
      return {};
    }
    case 'webhooks': {
      const delivery = z.strictObject({
        copies: z.number().int().min(0).max(100).optional(),
        shuffled: z.boolean().optional(),
        held: z.boolean().optional(),
      });
      const given = delivery.parse(body);
      webhooks.configure(
        Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      );
      return {};
    }
    case 'flush-webhooks':
      await webhooks.flush();
      return {};
    case 'register-webhook': {
      // Where the signing secret is known before: Stripe's dashboard shows one, the API makes one.
      const { url, secret } = z.strictObject({ url: z.url(), secret: z.string() }).parse(body);
      return world.add('webhook_endpoint', {
        id: world.newId('we'),
        object: 'webhook_endpoint',
        created: world.now(),
        url,
        enabled_events: ['*'],
        status: 'enabled',
        livemode: false,
        secret,
      });
    }
    default:
      throw new TypeError(`There is no control called ${act}.`);
  }
}
