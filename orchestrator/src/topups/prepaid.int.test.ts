import { billingAccounts } from '@computefabric/db/schema/billing-accounts';
import { topUps } from '@computefabric/db/schema/top-ups';
import type * as api from '@computefabric/protocol/user-api/billing';
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { auditLedger } from '../ledger/audit.store.ts';
import {
  gatewayTo,
  balancesOf,
  billingAccountOf,
  startStripeMarket,
  type StripeMarket,
  topUpDepsOf,
} from '../testing/stripe-market.ts';
import { errorOf } from '../testing/replies.ts';
import type { TestUser } from '../testing/test-market.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { reconcile } from './reconcile.ts';

let market: StripeMarket;
let renter: TestUser;
beforeAll(async () => {
  market = await startStripeMarket();
});
afterAll(() => market.closeAll());
beforeEach(async () => {
  renter = await market.addUser({ micros: 0n });
});

const USD = 1_000_000n;

async function call<T>(
  path: string,
  json?: unknown,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE' = json === undefined ? 'GET' : 'POST',
  headers: Record<string, string> = {},
) {
  const answer = await market.call(path, {
    token: renter.token,
    method,
    headers,
    ...(json === undefined ? {} : { json }),
  });
  if (answer.status >= 400) throw new Error(`${answer.status} ${answer.text}`);
  return JSON.parse(answer.text || '{}') as T;
}
const refusal = async (path: string, json: unknown) =>
  errorOf(await market.call(path, { token: renter.token, method: 'POST', json }));

const billing = () => call<api.Billing>('/v1/billing');
const balances = () => balancesOf(market.db, renter.userId);
const available = async () => (await balances()).renter_available ?? 0n;

async function beginTopUp(usd: number, more: object = {}, key?: string) {
  const body = { amount_micros: String(BigInt(usd) * USD), ...more };
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  const reply = await call<{ top_up: api.TopUp; client_secret: string | null }>(
    '/v1/billing/top-ups',
    body,
    'POST',
    headers,
  );
  return {
    ...reply.top_up,
    client_secret: reply.client_secret,
    checkout: /cs_\w+/.exec(reply.top_up.url ?? '')?.[0] ?? '',
  };
}

async function topUp(usd: number, card = 'pm_card_visa', more: object = {}) {
  const begun = await beginTopUp(usd, more);
  const before = await available();
  await market.stripe.control('pay-checkout', { id: begun.checkout, card });
  await waitUntil(
    'the top-up is booked',
    async () => (await call<api.TopUp>(`/v1/billing/top-ups/${begun.id}`)).state === 'succeeded',
  );
  return { ...begun, before };
}

const rowOf = async (id: string) =>
  (
    await market.db
      .select()
      .from(topUps)
      .where(eq(topUps.id, id as typeof topUps.$inferSelect.id))
  )[0];

async function saveCard(card = 'pm_card_visa') {
  const { url } = await call<{ url: string }>('/v1/billing/cards', {});
  await market.stripe.control('pay-checkout', { id: /cs_\w+/.exec(url)?.[0], card });
  return await waitUntil('the card is known', async () => {
    const account = await billingAccountOf(market.db, renter.userId);
    return account?.cardId ? account : null;
  });
}

const submit = () =>
  market.call('/v1/jobs', {
    token: renter.token,
    method: 'POST',
    json: {
      image: 'busybox',
      command: 'true',
      time_limit_seconds: 3_600,
      max_price_per_hour_micros: '1000000',
    },
  });

describe('a top-up', () => {
  test('by checkout is in the balance when it is paid, with its fee booked, and the books agree', async () => {
    const paid = await topUp(20);
    expect(await available()).toBe(20n * USD);
    const market_ = await balancesOf(market.db, null);
    expect(market_.stripe_fees ?? 0n).toBeLessThan(0n);
    expect((await rowOf(paid.id))?.chargeId).toMatch(/^ch_/);
    expect(await call<api.TopUp>(`/v1/billing/top-ups/${paid.id}`)).toMatchObject({
      url: null,
      amount_micros: '20000000',
    });
    expect(await auditLedger(market.db)).toEqual([]);
  });

  test('asked for fifty times at once with one key is one top-up with one page', async () => {
    const key = `same-${renter.userId}`;
    const all = await Promise.all(Array.from({ length: 50 }, () => beginTopUp(5, {}, key)));
    expect(new Set(all.map(({ id, url }) => `${id} ${url}`)).size).toBe(1);
    const other = await market.call('/v1/billing/top-ups', {
      method: 'POST',
      token: renter.token,
      json: { amount_micros: '6000000' },
      headers: { 'idempotency-key': key },
    });
    expect(errorOf(other).code).toBe('request/idempotency-key-reused');
  });

  test('whose card is declined stays open, says why, and is paid with another card', async () => {
    const begun = await beginTopUp(10);
    await expect(
      market.stripe.control('pay-checkout', {
        id: begun.checkout,
        card: 'pm_card_chargeDeclinedInsufficientFunds',
      }),
    ).rejects.toThrow(/insufficient/);
    const declined = await waitUntil('the refusal is known', async () => {
      const now = await call<api.TopUp>(`/v1/billing/top-ups/${begun.id}`);
      return now.failure ? now : null;
    });
    expect(declined).toMatchObject({ state: 'open', failure: { code: 'insufficient_funds' } });
    await market.stripe.control('pay-checkout', { id: begun.checkout });
    await waitUntil('it is paid', async () => (await available()) === 10n * USD);
  });

  test('by the Payment Element is confirmed in the browser', async () => {
    const begun = await beginTopUp(7, { method: 'element' });
    expect(begun.client_secret).toContain('_secret_');
    await market.stripe.control('confirm-intent', { id: begun.client_secret?.split('_secret_')[0] });
    await waitUntil('it is paid', async () => (await available()) === 7n * USD);
  });

  test('of a page that expired is cancelled', async () => {
    const begun = await beginTopUp(5);
    await gatewayTo(market.stripe).expireCheckout(begun.checkout);
    await waitUntil(
      'it is cancelled',
      async () => (await call<api.TopUp>(`/v1/billing/top-ups/${begun.id}`)).state === 'canceled',
    );
  });

  test.each([['4999'], ['10001'], ['490000'], ['10000010000'], ['-5000000']])(
    'of %s micros is refused',
    async (amount) => {
      expect((await refusal('/v1/billing/top-ups', { amount_micros: amount })).code).toBe('request/invalid');
    },
  );

  test('of another person is not there', async () => {
    const begun = await beginTopUp(5);
    const stranger = await market.addUser();
    const answer = await market.call(`/v1/billing/top-ups/${begun.id}`, { token: stranger.token });
    expect(errorOf(answer).code).toBe('billing/top-up-not-found');
  });

  test('is asked for again when Stripe does not answer, and is never two', async () => {
    await market.stripe.control('faults', {
      kind: 'lost',
      path: '/v1/checkout/sessions',
      method: 'POST',
      times: 3,
    });
    const key = `lost-${renter.userId}`;
    const first = await market.call('/v1/billing/top-ups', {
      method: 'POST',
      token: renter.token,
      json: { amount_micros: '5000000' },
      headers: { 'idempotency-key': key },
    });
    expect(errorOf(first).code).toBe('stripe/unavailable');
    const begun = await beginTopUp(5, {}, key);
    const customer = (await billingAccountOf(market.db, renter.userId))?.customerId;
    const sessions = market.stripe.world
      .all('checkout.session')
      .filter((session) => session.customer === customer);
    expect(sessions.map(({ id }) => id)).toEqual([begun.checkout]);
  });
});

describe('cards', () => {
  test('are saved on a page of Stripe, listed without their number, and removed', async () => {
    await saveCard('pm_card_mastercard');
    const [card] = (await billing()).cards;
    expect(card).toMatchObject({ brand: 'mastercard', last4: '4444', is_default: true });
    const stranger = await market.addUser();
    const theirs = await market.call(`/v1/billing/cards/${card?.id}`, {
      method: 'DELETE',
      token: stranger.token,
    });
    expect(errorOf(theirs).code).toBe('billing/card-not-found');
    await market.call(`/v1/billing/cards/${card?.id}`, { method: 'DELETE', token: renter.token });
    expect((await billing()).cards).toEqual([]);
    expect((await billingAccountOf(market.db, renter.userId))?.cardId).toBeNull();
  });

  test('are not known while Stripe does not answer, and all the rest is', async () => {
    await saveCard();
    await market.stripe.control('faults', { kind: 'down', path: '/payment_methods$', times: 3 });
    expect(await billing()).toMatchObject({ cards: [], cards_known: false, available_micros: '0' });
    expect(await billing()).toMatchObject({ cards: [{ last4: '4242' }], cards_known: true });
  });

  test('are kept by a top-up that says so', async () => {
    await topUp(5, 'pm_card_visa', { save_card: true });
    await waitUntil('the card is known', async () => (await billing()).cards.length === 1);
  });
});

describe('an automatic top-up', () => {
  const auto = (ceiling = '40000000') =>
    call<object>(
      '/v1/billing/auto-top-up',
      {
        auto_top_up: {
          threshold_micros: '5000000',
          amount_micros: '20000000',
          monthly_ceiling_micros: ceiling,
        },
      },
      'PUT',
    );

  test('needs a saved card', async () => {
    const answer = await market.call('/v1/billing/auto-top-up', {
      method: 'PUT',
      token: renter.token,
      json: {
        auto_top_up: {
          threshold_micros: '5000000',
          amount_micros: '20000000',
          monthly_ceiling_micros: '20000000',
        },
      },
    });
    expect(errorOf(answer).code).toBe('billing/card-required');
  });

  test('charges the saved card below the threshold, once, and not above its monthly ceiling', async () => {
    await saveCard();
    await auto('30000000');
    await waitUntil('the balance is topped up', async () => (await available()) === 20n * USD);
    // Spend it: the ceiling has no room for a second one.
    await call('/v1/billing/refunds', { amount_micros: '19000000' });
    await waitUntil('it was refunded', async () => (await available()) === 1n * USD);
    const { items } = await call<{ items: api.TopUp[] }>('/v1/billing/top-ups');
    expect(items.map(({ method, state }) => [method, state])).toEqual([['automatic', 'succeeded']]);
  });

  test('that is refused says so, waits longer each time, and stops after the third', async () => {
    await saveCard('pm_card_chargeCustomerFail');
    await auto();
    for (let refused = 1; refused <= 3; refused += 1) {
      await waitUntil(
        `refusal ${refused}`,
        async () => (await billingAccountOf(market.db, renter.userId))?.autoFailures === refused,
      );
      const account = await billingAccountOf(market.db, renter.userId);
      expect((account?.autoNotBefore?.getTime() ?? 0) - Date.now()).toBeGreaterThan(
        2 ** (refused - 1) * 3_500_000,
      );

      await market.db
        .update(billingAccounts)
        .set({ autoNotBefore: null })
        .where(eq(billingAccounts.userId, renter.userId));
    }
    const { auto_top_up } = await billing();
    expect(auto_top_up?.paused_because).toMatch(/refused 3 times/);
    expect(await available()).toBe(0n);
  });

  test('whose bank wants a confirmation waits with a link, and is booked when it was given', async () => {
    await saveCard('pm_card_authenticationRequired');
    await auto();
    const waiting = await waitUntil('the link is there', async () => (await billing()).unpaid[0]);
    expect(waiting).toMatchObject({ method: 'automatic', state: 'needs_action' });
    await fetch(waiting.url ?? '', {
      method: 'POST',
      body: new URLSearchParams({ do: 'pass' }),
      redirect: 'manual',
    });
    await waitUntil('it is booked', async () => (await available()) === 20n * USD);
    expect((await billing()).unpaid).toEqual([]);
  });
});

describe('money back', () => {
  test('goes to the cards it came from, newest first, in part and in full', async () => {
    await topUp(10);
    await topUp(5);
    const part = await call<{ items: api.CardRefundView[] }>('/v1/billing/refunds', {
      amount_micros: '7000000',
    });
    expect(part.items.map(({ amount_micros }) => amount_micros)).toEqual(['5000000', '2000000']);
    expect(await available()).toBe(8n * USD);
    await call('/v1/billing/refunds', {});
    expect(await available()).toBe(0n);
    await waitUntil('the banks have it', async () => {
      const { items } = await call<{ items: api.CardRefundView[] }>('/v1/billing/refunds');
      return items.length === 3 && items.every(({ state }) => state === 'succeeded');
    });
    expect((await refusal('/v1/billing/refunds', {})).code).toBe('billing/nothing-to-refund');
    expect(await auditLedger(market.db)).toEqual([]);
  });

  test('that the bank does not take is in the balance again', async () => {
    await topUp(10, 'pm_card_refundFail');
    await call('/v1/billing/refunds', {});
    await waitUntil('it came back', async () => {
      const { items } = await call<{ items: api.CardRefundView[] }>('/v1/billing/refunds');
      return items[0]?.state === 'failed';
    });
    expect(await available()).toBe(10n * USD);
  });

  test('never exceeds the balance, nor takes what is reserved', async () => {
    await topUp(3);
    expect((await submit()).status).toBe(201);
    expect((await refusal('/v1/billing/refunds', { amount_micros: '3000000' })).code).toBe(
      'ledger/insufficient-funds',
    );
  });

  test('made at Stripe by the operator leaves the balance, and what is spent already is owed', async () => {
    const paid = await topUp(10);
    await call('/v1/billing/refunds', { amount_micros: '4000000' });
    const { chargeId } = (await rowOf(paid.id)) ?? {};
    await waitUntil(
      'the first refund is made',
      async () => market.stripe.world.get('charge', chargeId ?? '').amount_refunded === 400,
    );
    await gatewayTo(market.stripe).listRefunds((await rowOf(paid.id))?.intentId ?? '');
    await fetch(`${market.stripe.url}/v1/refunds`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer sk_test_operator',
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: `charge=${chargeId}`,
    });
    await waitUntil('it left the balance', async () => (await available()) === 0n);
    expect((await balances()).renter_debt ?? 0n).toBe(0n);
  });
});

describe('a dispute', () => {
  test('takes the amount out of the balance, freezes the account, sends the record, and comes back when won', async () => {
    await topUp(20);
    await submit();
    await topUp(10, 'pm_card_createDispute');
    const frozen = await waitUntil('the account is frozen', async () => {
      const now = await billing();
      return now.frozen_by === 'dispute' ? now : null;
    });
    expect(frozen.disputed_micros).toBe('10000000');
    expect(errorOf(await submit())).toMatchObject({ code: 'billing/account-frozen' });
    expect((await refusal('/v1/billing/refunds', {})).code).toBe('billing/account-frozen');
    const [dispute] = frozen.disputes;
    const sent = await waitUntil('the evidence is sent', async () => {
      const at = market.stripe.world.get('dispute', dispute?.id ?? '');
      return at.status === 'under_review' ? at : null;
    });
    expect(sent.evidence.access_activity_log).toContain('submitted');
    await market.stripe.control('close-dispute', { id: dispute?.id, outcome: 'won' });
    await waitUntil('the account is free', async () => (await billing()).frozen_by === null);
    expect((await balances()).renter_disputed).toBe(0n);
    expect((await submit()).status).toBe(201);
    expect(await auditLedger(market.db)).toEqual([]);
  });

  test('about money that is spent already leaves a debt that the next top-up pays, and a lost one is gone', async () => {
    await topUp(1);
    expect((await submit()).status).toBe(201); // holds 1 USD
    const paid = await topUp(2);
    await call('/v1/billing/refunds', { amount_micros: '500000' });
    const { chargeId } = (await rowOf(paid.id)) ?? {};
    await waitUntil(
      'the refund is made',
      async () => market.stripe.world.get('charge', chargeId ?? '').amount_refunded === 50,
    );
    const first = market.stripe.world
      .all('charge')
      .find(
        ({ id }) =>
          id !== chargeId &&
          market.stripe.world.get('charge', id).customer ===
            market.stripe.world.get('charge', chargeId ?? '').customer,
      );
    await market.stripe.control('dispute', { id: chargeId });
    await market.stripe.control('dispute', { id: first?.id });
    await waitUntil('both are known', async () => (await billing()).disputes.length === 2);
    // 1.50 of the first claim was there, 1.00 of the second one is reserved for a job.
    expect(await billing()).toMatchObject({
      owed_micros: '1000000',
      disputed_micros: '2500000',
      available_micros: '0',
    });
    for (const { id } of (await billing()).disputes)
      await market.stripe.control('close-dispute', { id, outcome: 'lost' });
    await waitUntil('both are lost', async () => (await billing()).disputed_micros === '0');
    expect((await billing()).frozen_by).toBe('unpaid');
    await topUp(5);
    expect(await billing()).toMatchObject({ frozen_by: null, owed_micros: '0', available_micros: '4000000' });
    expect(await auditLedger(market.db)).toEqual([]);
  });
});

describe('the reconciliation', () => {
  test('finds the ledger and Stripe in agreement after all of this', async () => {
    const deps = topUpDepsOf(market.db, gatewayTo(market.stripe));
    await market.stripe.webhooks.idle();
    const agreed = await waitUntil(
      'all is booked',
      async () => {
        const found = await reconcile(deps, 0);
        return found.differenceMicros === 0n && found.unexplained.length === 0 ? found : null;
      },
      20_000,
    );
    expect(agreed).toEqual({ differenceMicros: 0n, unexplained: [] });
    expect(await auditLedger(market.db)).toEqual([]);
  });

  test('names a cent that Stripe has taken and nobody knows why', async () => {
    await market.stripe.control('adjust-balance', { cents: -1 });
    const found = await reconcile(topUpDepsOf(market.db, gatewayTo(market.stripe)), 0);
    expect(found.differenceMicros).toBe(-10_000n);
    expect(found.unexplained).toMatchObject([{ side: 'stripe', kind: 'adjustment', amountMicros: -10_000n }]);
  });
});
