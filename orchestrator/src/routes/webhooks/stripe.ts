import type { Db } from '@computefabric/db/client';
import { AppError } from '@computefabric/runtime/errors';
import { Router } from 'express';
import { readBytes } from '../../http/read-json.ts';
import { receiveEvent } from '../../stripe/receive-event.ts';
import type { StripeGateway } from '../../stripe/stripe-gateway.ts';

/** Stripe's events are some kilobytes; objects with long lists some hundred. */
const maxBytes = 1_048_576;
const path = '/webhooks/stripe';

/**
 * Where Stripe sends events. No bearer: the signature over the exact bytes says who sends. Any event that is
 * Stripe's gets 200, also one of a type that nobody handles: another answer would only make it come again.
 */
export function stripeWebhook(deps: { db: Db; stripe: StripeGateway }): Router {
  const router = Router();
  router.post(path, async (request, response) => {
    response.locals.routeId = path;
    if (request.headers['content-encoding'] !== undefined) {
      throw new AppError('request/unsupported-media-type', { message: 'Send the body without compression.' });
    }
    const body = await readBytes(request, maxBytes);
    const isNew = await receiveEvent(deps, body, request.get('stripe-signature'));
    response.json({ received: true, known: !isNew });
  });
  router.all(path, (_request, response) => {
    response.locals.routeId = path;
    response.set('allow', 'POST');
    throw new AppError('request/method-not-allowed', { message: 'This address takes POST only.' });
  });
  return router;
}
