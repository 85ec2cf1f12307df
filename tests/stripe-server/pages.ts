import { testCards } from './cards.ts';
import { completeCheckout } from './checkout.ts';
import { completeOnboarding } from './connect.ts';
import { confirmIntent } from './payments.ts';
import { missing } from './refusal.ts';
import type { World } from './world.ts';

/** An answer to a browser: a page, or where to go next. */
export type PageAnswer = { html: string } | { location: string };

/** The hosted pages: checkout, and where a person onboards or authenticates. */
export function answerPage(
  world: World,
  method: string,
  path: string,
  form: URLSearchParams,
): PageAnswer | null {
  const [, kind, id = ''] = /^\/(pay|pages)\/([\w]+)$/.exec(path) ?? [];
  if (kind === 'pay') return method === 'POST' ? pay(world, id, form) : showCheckout(world, id);
  if (kind === 'pages') return method === 'POST' ? act(world, id, form) : showAction(world, id);
  return null;
}

function showCheckout(world: World, id: string): PageAnswer {
  const session = world.get('checkout.session', id);
  if (session.status !== 'open') return page('Checkout', `<p>This checkout is ${session.status}.</p>`);
  const what =
    session.mode === 'setup' ? 'Save a card' : `Pay $${((session.amount_total ?? 0) / 100).toFixed(2)}`;
  const options = testCards
    .map((card) => `<option value="${card.number}">${card.number} ${card.id}</option>`)
    .join('');
  const cancel =
    session.cancel_url === null ? '' : `<p><a href="${escaped(session.cancel_url)}">Back</a></p>`;
  return page(
    what,
    `<form method="post"><label>Test card <select name="card">${options}</select></label> <button>${what}</button></form>${cancel}`,
  );
}

function pay(world: World, id: string, form: URLSearchParams): PageAnswer {
  const session = completeCheckout(
    world,
    world.get('checkout.session', id),
    form.get('card') ?? 'pm_card_visa',
  );
  return { location: (session.success_url ?? '/').replaceAll('{CHECKOUT_SESSION_ID}', session.id) };
}

function showAction(world: World, id: string): PageAnswer {
  const action = world.pages.get(id);
  if (!action) throw missing('page', id);
  return action.kind === 'onboarding'
    ? page(
        'Who you are and where your money goes',
        '<form method="post"><button name="do" value="pass">Submit</button></form>',
      )
    : page(
        'Your bank wants to know that it is you',
        '<form method="post"><button name="do" value="pass">Complete</button> <button name="do" value="fail">Fail</button></form>',
      );
}

function act(world: World, id: string, form: URLSearchParams): PageAnswer {
  const action = world.pages.get(id);
  if (!action) throw missing('page', id);
  const passed = form.get('do') !== 'fail';
  if (action.kind === 'onboarding') completeOnboarding(world, world.get('account', action.subject));
  else {
    const intent = world.get('payment_intent', action.subject);
    if (passed) confirmIntent(world, intent, { offSession: false, authenticated: true });
    else {
      intent.status = 'requires_payment_method';
      intent.payment_method = null;
      intent.next_action = null;
      intent.last_payment_error = {
        type: 'invalid_request_error',
        code: 'payment_intent_authentication_failure',
        message: 'The provided PaymentMethod has failed authentication.',
      };
      world.emit('payment_intent.payment_failed', intent);
    }
  }
  world.pages.delete(id);
  return action.returnUrl === null
    ? page('Done', '<p>You can close this page.</p>')
    : { location: action.returnUrl };
}

function page(title: string, body: string): PageAnswer {
  return {
    html: `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>${escaped(title)}</title><h1>${escaped(title)}</h1><p>A stand-in for Stripe: no money moves.</p>${body}</html>`,
  };
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
