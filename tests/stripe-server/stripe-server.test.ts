import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StripeServer, startStripeServer } from './server.ts';

// The real SDK over real HTTP: what it accepts and throws here is what it does with Stripe.

let server: StripeServer;
let stripe: Stripe;

function sdk(options: { maxNetworkRetries?: number; apiKey?: string } = {}): Stripe {
  const { hostname, port } = new URL(server.url);
  return new Stripe(options.apiKey ?? 'sk_test_standin', {
    host: hostname,
    port,
    protocol: 'http',
    maxNetworkRetries: options.maxNetworkRetries ?? 0,
    telemetry: false,
    timeout: 5_000,
  });
}

beforeAll(async () => {
  server = await startStripeServer();
  stripe = sdk();
});
afterAll(() => server.close());

const refusalOf = async (work: Promise<unknown>) => {
  const thrown: unknown = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof Stripe.errors.StripeError)) throw new Error(`no refusal: ${String(thrown)}`);
  return thrown;
};

async function customerWithCard(card = 'pm_card_visa') {
  const customer = await stripe.customers.create({ email: 'a@test.invalid' });
  const method = await stripe.paymentMethods.attach(card, { customer: customer.id });
  return { customer: customer.id, payment_method: method.id };
}

const charge = async (cents: number, card = 'pm_card_visa') => {
  const saved = await customerWithCard(card);
  return await stripe.paymentIntents.create({
    amount: cents,
    currency: 'usd',
    ...saved,
    confirm: true,
    off_session: true,
  });
};

describe('the door', () => {
  test('is closed without a test key, and for live keys', async () => {
    expect((await fetch(`${server.url}/v1/balance`)).status).toBe(401);
    const error = await refusalOf(sdk({ apiKey: 'sk_live_real' }).balance.retrieve());
    expect(error).toBeInstanceOf(Stripe.errors.StripeAuthenticationError);
  });

  test('refuses a parameter that Stripe does not know, by its name', async () => {
    const body = 'amount=500&currency=usd&metadata[a]=b&shippin[name]=x';
    const answer = await fetch(`${server.url}/v1/payment_intents`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer sk_test_standin',
        'content-type': 'application/x-www-form-urlencoded',
      },
      body,
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'parameter_unknown', param: 'shippin' } });
  });

  test('refuses what is missing, of the wrong type, too small or of another currency', async () => {
    const send = (params: object) =>
      refusalOf(stripe.paymentIntents.create(params as Stripe.PaymentIntentCreateParams));
    expect(await send({ currency: 'usd' })).toMatchObject({ code: 'parameter_missing', param: 'amount' });
    expect(await send({ amount: 1.5, currency: 'usd' })).toMatchObject({ param: 'amount' });
    expect(await send({ amount: 49, currency: 'usd' })).toMatchObject({ code: 'amount_too_small' });
    expect(await send({ amount: 500, currency: 'jpy' })).toMatchObject({ code: 'invalid_currency' });
    expect(await send({ amount: 500, currency: 'usd', customer: 'cus_none' })).toMatchObject({
      code: 'resource_missing',
    });
  });
});

describe('a payment', () => {
  test('succeeds once, with a charge, a fee and the rest in the balance', async () => {
    const before = await stripe.balance.retrieve();
    const intent = await charge(2_000);
    expect(intent.status).toBe('succeeded');
    const { latest_charge } = await stripe.paymentIntents.retrieve(intent.id, {
      expand: ['latest_charge.balance_transaction'],
    });
    expect(latest_charge).toMatchObject({
      amount: 2_000,
      balance_transaction: { amount: 2_000, fee: 88, net: 1_912 },
    });
    const after = await stripe.balance.retrieve();
    expect((after.pending[0]?.amount ?? 0) - (before.pending[0]?.amount ?? 0)).toBe(1_912);
    expect(await refusalOf(stripe.paymentIntents.confirm(intent.id))).toMatchObject({
      code: 'payment_intent_unexpected_state',
    });
  });

  test.each([
    ['pm_card_chargeCustomerFail', 'card_declined', 'generic_decline'],
    ['pm_card_authenticationRequired', 'authentication_required', 'authentication_required'],
  ])(
    'with %s is refused with its codes, and the intent stays open for another card',
    async (card, code, decline) => {
      const error = await refusalOf(charge(1_000, card));
      expect(error).toBeInstanceOf(Stripe.errors.StripeCardError);
      expect(error).toMatchObject({ statusCode: 402, code, decline_code: decline });
      expect(error.payment_intent?.status).toBe('requires_payment_method');
      expect(error.requestId).toMatch(/^req_/);
    },
  );

  test.each([
    ['pm_card_chargeDeclined', 'card_declined'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card'],
    ['pm_card_chargeDeclinedInsufficientFunds', 'card_declined'],
  ])('a card that its bank refuses (%s) cannot be saved', async (card, code) => {
    expect(await refusalOf(customerWithCard(card))).toMatchObject({ code });
  });

  test('whose card wants authentication goes on after the page of the bank', async () => {
    const { customer, payment_method } = await customerWithCard('pm_card_authenticationRequired');
    const intent = await stripe.paymentIntents.create({
      amount: 700,
      currency: 'usd',
      customer,
      payment_method,
    });
    const waiting = await stripe.paymentIntents.confirm(intent.id, { return_url: 'http://127.0.0.1/back' });
    expect(waiting.status).toBe('requires_action');
    const page = waiting.next_action?.redirect_to_url?.url ?? '';
    const done = await fetch(page, {
      method: 'POST',
      body: new URLSearchParams({ do: 'pass' }),
      redirect: 'manual',
    });
    expect(done.headers.get('location')).toBe('http://127.0.0.1/back');
    expect((await stripe.paymentIntents.retrieve(intent.id)).status).toBe('succeeded');
  });

  test('that is only authorised is captured in part, or cancelled', async () => {
    const saved = await customerWithCard();
    const authorise = () =>
      stripe.paymentIntents.create({
        amount: 900,
        currency: 'usd',
        ...saved,
        capture_method: 'manual',
        confirm: true,
      });
    const first = await authorise();
    expect(first).toMatchObject({ status: 'requires_capture', amount_capturable: 900 });
    expect(await stripe.paymentIntents.capture(first.id, { amount_to_capture: 600 })).toMatchObject({
      status: 'succeeded',
      amount_received: 600,
    });
    expect((await stripe.paymentIntents.cancel((await authorise()).id)).status).toBe('canceled');
  });
});

describe('checkout', () => {
  test('takes a payment and saves the card, on a page a person can use', async () => {
    const { id: customer } = await stripe.customers.create({});
    const session = await stripe.checkout.sessions.create({
      mode: 'payment',
      customer,
      success_url: 'http://127.0.0.1/thanks?session={CHECKOUT_SESSION_ID}',
      line_items: [
        {
          price_data: { currency: 'usd', unit_amount: 2_500, product_data: { name: 'Balance' } },
          quantity: 1,
        },
      ],
      payment_intent_data: { setup_future_usage: 'off_session', metadata: { top_up: 'x' } },
    });
    expect(session.payment_intent).toBeNull();
    expect(await (await fetch(session.url ?? '')).text()).toContain('Pay $25.00');
    const paid = await fetch(session.url ?? '', {
      method: 'POST',
      body: new URLSearchParams({ card: '4242 4242 4242 4242' }),
      redirect: 'manual',
    });
    expect(paid.headers.get('location')).toBe(`http://127.0.0.1/thanks?session=${session.id}`);
    const after = await stripe.checkout.sessions.retrieve(session.id, { expand: ['payment_intent'] });
    expect(after).toMatchObject({
      status: 'complete',
      payment_status: 'paid',
      payment_intent: { metadata: { top_up: 'x' } },
    });
    expect((await stripe.customers.listPaymentMethods(customer)).data).toHaveLength(1);
  });

  test('saves a card without a payment, and expires when it is told to', async () => {
    const { id: customer } = await stripe.customers.create({});
    const make = () =>
      stripe.checkout.sessions.create({
        mode: 'setup',
        currency: 'usd',
        customer,
        success_url: 'http://127.0.0.1/',
      });
    const session = await make();
    await server.control('pay-checkout', { id: session.id, card: 'pm_card_mastercard' });
    const [card] = (await stripe.paymentMethods.list({ customer, type: 'card' })).data;
    expect(card?.card).toMatchObject({ brand: 'mastercard', last4: '4444' });
    const other = await make();
    expect((await stripe.checkout.sessions.expire(other.id)).status).toBe('expired');
  });
});

describe('money back', () => {
  test('is refunded in part and in full and never beyond', async () => {
    const { id } = await charge(1_000);
    expect(await stripe.refunds.create({ payment_intent: id, amount: 400 })).toMatchObject({
      status: 'succeeded',
    });
    expect(await refusalOf(stripe.refunds.create({ payment_intent: id, amount: 601 }))).toMatchObject({
      param: 'amount',
    });
    expect(await stripe.refunds.create({ payment_intent: id })).toMatchObject({ amount: 600 });
    expect(await refusalOf(stripe.refunds.create({ payment_intent: id }))).toMatchObject({
      code: 'charge_already_refunded',
    });
  });

  test('that the bank cannot take comes back to the balance', async () => {
    const { id } = await charge(1_000, 'pm_card_refundFail');
    const refund = await stripe.refunds.create({ payment_intent: id });
    expect(await stripe.refunds.retrieve(refund.id)).toMatchObject({
      status: 'failed',
      failure_reason: 'expired_or_canceled_card',
    });
    const lines = await stripe.balanceTransactions.list({ source: refund.id });
    expect(lines.data.reduce((sum, { net }) => sum + net, 0)).toBe(0);
  });

  test('that the card holder claims is gone with a fee until the dispute is won', async () => {
    const { id } = await charge(3_000, 'pm_card_createDispute');
    const [dispute] = (await stripe.disputes.list({ payment_intent: id })).data;
    expect(dispute).toMatchObject({ status: 'needs_response', reason: 'fraudulent', amount: 3_000 });
    expect(dispute?.balance_transactions[0]).toMatchObject({ amount: -3_000, fee: 1_500 });
    const answered = await stripe.disputes.update(dispute?.id ?? '', {
      evidence: { uncategorized_text: 'It ran.' },
    });
    expect(answered).toMatchObject({ status: 'under_review', evidence_details: { submission_count: 1 } });
    await server.control('close-dispute', { id: dispute?.id, outcome: 'won' });
    const won = await stripe.disputes.retrieve(dispute?.id ?? '');
    expect(won.status).toBe('won');
    expect(won.balance_transactions.reduce((sum, { net }) => sum + net, 0)).toBe(-1_500);
  });
});

describe('connected accounts', () => {
  test('take transfers once they are onboarded, pay out, and give back', async () => {
    const account = await stripe.accounts.create({
      country: 'US',
      controller: {
        fees: { payer: 'application' },
        losses: { payments: 'application' },
        stripe_dashboard: { type: 'express' },
      },
      capabilities: { transfers: { requested: true } },
    });
    await stripe.paymentIntents.create({
      amount: 10_000,
      currency: 'usd',
      ...(await customerWithCard('pm_card_bypassPending')),
      confirm: true,
    });
    const send = () =>
      stripe.transfers.create({
        amount: 4_000,
        currency: 'usd',
        destination: account.id,
        transfer_group: 'p1',
      });
    expect(await refusalOf(send())).toMatchObject({ code: 'insufficient_capabilities_for_transfer' });
    const link = await stripe.accountLinks.create({
      account: account.id,
      type: 'account_onboarding',
      return_url: 'http://127.0.0.1/back',
      refresh_url: 'http://127.0.0.1/again',
    });
    await fetch(link.url, { method: 'POST', redirect: 'manual' });
    expect((await stripe.accounts.retrieve(account.id)).payouts_enabled).toBe(true);
    const transfer = await send();
    expect((await stripe.transfers.list({ transfer_group: 'p1' })).data.map(({ id }) => id)).toEqual([
      transfer.id,
    ]);
    const theirs = { stripeAccount: account.id };
    const payout = await stripe.payouts.create({ amount: 1_000, currency: 'usd' }, theirs);
    await server.control('fail-payout', { id: payout.id, account: account.id });
    expect(await stripe.payouts.retrieve(payout.id, {}, theirs)).toMatchObject({ status: 'failed' });
    await stripe.transfers.createReversal(transfer.id, { amount: 1_500 });
    expect((await stripe.balance.retrieve({}, theirs)).available[0]?.amount).toBe(2_500);
    await server.control('restrict-account', { id: account.id });
    expect(await refusalOf(send())).toMatchObject({ code: 'insufficient_capabilities_for_transfer' });
  });

  test('take no more than there is', async () => {
    const account = await stripe.accounts.create({ capabilities: { transfers: { requested: true } } });
    await server.control('complete-onboarding', { id: account.id });
    const much = stripe.transfers.create({ amount: 90_000_000, currency: 'usd', destination: account.id });
    expect(await refusalOf(much)).toMatchObject({ code: 'balance_insufficient' });
  });
});

describe('an idempotency key', () => {
  const pay = (key: string, amount: number) =>
    stripe.paymentIntents.create({ amount, currency: 'usd' }, { idempotencyKey: key });

  test('gives the same answer again and refuses another request', async () => {
    const first = await pay('key-1', 500);
    const again = await pay('key-1', 500);
    expect(again.id).toBe(first.id);
    expect(again.lastResponse.headers['idempotent-replayed']).toBe('true');
    expect(await refusalOf(pay('key-1', 501))).toBeInstanceOf(Stripe.errors.StripeIdempotencyError);
  });

  test('keeps a decline and an error of the server, but not a malformed request', async () => {
    const saved = await customerWithCard('pm_card_chargeCustomerFail');
    const confirm = () =>
      stripe.paymentIntents.create(
        { amount: 500, currency: 'usd', ...saved, confirm: true },
        { idempotencyKey: 'key-2' },
      );
    const ids = [await refusalOf(confirm()), await refusalOf(confirm())].map(
      (error) => error.payment_intent?.id,
    );
    expect(ids[0]).toBe(ids[1]);
    await server.control('faults', { kind: 'error', path: '/v1/payment_intents' });
    expect((await refusalOf(pay('key-3', 500))).statusCode).toBe(500);
    expect((await refusalOf(pay('key-3', 500))).statusCode).toBe(500);
    expect((await refusalOf(pay('key-4', 1))).statusCode).toBe(400);
    expect((await pay('key-4', 500)).status).toBe('requires_payment_method');
  });

  test('in use is refused with 409', async () => {
    await server.control('faults', { kind: 'slow', ms: 300, path: '/v1/payment_intents' });
    const outcomes = await Promise.allSettled([pay('key-5', 500), pay('key-5', 500)]);
    const refused = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(refused?.reason).toMatchObject({ statusCode: 409, code: 'idempotency_key_in_use' });
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('makes an answer that was lost harmless', async () => {
    await server.control('faults', { kind: 'lost', path: '/v1/payment_intents' });
    const { customer } = await customerWithCard();
    const made = await sdk({ maxNetworkRetries: 2 }).paymentIntents.create({
      amount: 500,
      currency: 'usd',
      customer,
    });
    expect((await stripe.paymentIntents.list({ customer })).data.map(({ id }) => id)).toEqual([made.id]);
  });
});

test('429 and 503 pass with a repeat', async () => {
  await server.control('faults', { kind: 'rate_limited', path: '/v1/balance' });
  expect(await refusalOf(stripe.balance.retrieve())).toBeInstanceOf(Stripe.errors.StripeRateLimitError);
  await server.control('faults', { kind: 'down', path: '/v1/balance' });
  expect((await sdk({ maxNetworkRetries: 2 }).balance.retrieve()).object).toBe('balance');
});

describe('events', () => {
  test('are signed, sent until they are taken, and can be sent twice or in any order', async () => {
    const secret = 'whsec_test';
    const received: Stripe.Event[] = [];
    let refuse = 2;
    const hook = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const body = Buffer.concat(parts).toString('utf8');
        const event = stripe.webhooks.constructEvent(body, request.headers['stripe-signature'] ?? '', secret);
        refuse -= 1;
        if (refuse < 0) received.push(event);
        response.writeHead(refuse < 0 ? 200 : 500).end();
      });
    }).listen(0, '127.0.0.1');
    await once(hook, 'listening');
    try {
      const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`;
      await server.control('register-webhook', { url, secret });
      const first = await charge(600);
      await server.webhooks.idle();
      const types = received.map(({ type }) => type);
      expect(types).toContain('payment_intent.succeeded');
      expect(types).toContain('charge.succeeded');
      await server.control('webhooks', { copies: 3, shuffled: true });
      received.length = 0;
      await charge(700);
      await server.control('flush-webhooks');
      const succeeded = received.filter(({ type }) => type === 'payment_intent.succeeded');
      expect(succeeded).toHaveLength(3);
      expect(new Set(succeeded.map(({ id }) => id)).size).toBe(1);
      const [event] = (await stripe.events.list({ type: 'payment_intent.succeeded', limit: 1 })).data;
      expect(event?.id).toBe(succeeded[0]?.id);
      expect(first.status).toBe('succeeded');
    } finally {
      hook.close();
    }
  });
});
