import { newId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StripeServer, startStripeServer } from '../../../tests/stripe-server/server.ts';
import { gatewayTo } from '../testing/stripe-market.ts';
import type { StripeGateway } from './stripe-gateway.ts';

// What the gateway offers for paying owners, by the real SDK over loopback.

let server: StripeServer;
let gateway: StripeGateway;
beforeAll(async () => {
  server = await startStripeServer();
  gateway = gatewayTo(server);
  // Money that is there to be paid out.
  const customerId = await gateway.createCustomer({ userId: newId('user'), email: 'a@test.invalid' });
  const amountMicros = 500_000_000n;
  const topUpId = newId('topUp');
  const { intentId } = await gateway.createPayment({ topUpId, customerId, amountMicros, saveCard: false });
  await server.control('confirm-intent', { id: intentId, card: 'pm_card_bypassPending' });
});
afterAll(() => server.close());

const pages = { returnUrl: 'http://127.0.0.1/back', refreshUrl: 'http://127.0.0.1/again' };

async function owner(): Promise<string> {
  const accountId = await gateway.createPayoutAccount({
    userId: newId('user'),
    email: 'o@test.invalid',
    country: 'US',
  });
  await fetch(await gateway.openOnboarding({ accountId, ...pages }), { method: 'POST', redirect: 'manual' });
  return accountId;
}

test('an owner takes transfers once they have said who they are, and no longer when Stripe wants to know more', async () => {
  const accountId = await gateway.createPayoutAccount({
    userId: newId('user'),
    email: 'o@test.invalid',
    country: 'US',
  });
  expect(await gateway.readPayoutAccount(accountId)).toMatchObject({
    takesTransfers: false,
    detailsSubmitted: false,
  });
  await server.control('complete-onboarding', { id: accountId });
  expect(await gateway.readPayoutAccount(accountId)).toMatchObject({
    takesTransfers: true,
    paysOut: true,
    missing: [],
  });
  await server.control('restrict-account', { id: accountId });
  expect(await gateway.readPayoutAccount(accountId)).toMatchObject({
    takesTransfers: false,
    missing: ['individual.verification.document'],
    disabledReason: 'requirements.past_due',
  });
  const refused = gateway.transfer({ payoutId: 'p-refused', accountId, amountMicros: 1_000_000n });
  await expect(refused).rejects.toMatchObject({
    code: 'stripe/refused',
    details: { stripe_code: 'insufficient_capabilities_for_transfer' },
  });
});

test.each(['lost', 'error_after', 'error', 'rate_limited', 'down'] as const)(
  'a payout is sent once and taken back once when the answers are %s',
  async (kind) => {
    const accountId = await owner();
    const payoutId = newId('payment');
    const retried = async <T>(work: () => Promise<T>): Promise<T> => {
      for (let attempt = 0; ; attempt += 1) {
        try {
          return await work();
        } catch (thrown) {
          if (!(thrown instanceof AppError) || thrown.code !== 'stripe/unavailable' || attempt === 5)
            throw thrown;
        }
      }
    };
    await server.control('faults', { kind, method: 'POST', path: '/v1/transfers$', times: 4 });
    const send = () => gateway.transfer({ payoutId, accountId, amountMicros: 12_340_000n });
    const sent = await retried(send);
    expect(await send()).toEqual(sent);
    expect(await gateway.findTransfers(payoutId)).toEqual([
      {
        transferId: sent.transferId,
        accountId,
        amountMicros: 12_340_000n,
        reversedMicros: 0n,
        cause: payoutId,
      },
    ]);
    await server.control('clear-faults');
    await server.control('faults', { kind, method: 'POST', path: '/reversals$', times: 4 });
    const reversal = { cause: `r-${payoutId}`, transferId: sent.transferId, amountMicros: 2_340_000n };
    await retried(() => gateway.reverseTransfer(reversal));
    expect((await gateway.reverseTransfer(reversal)).reversedMicros).toBe(2_340_000n);
    await server.control('clear-faults');
  },
  60_000,
);

test('more than there is is refused for that reason', async () => {
  const accountId = await owner();
  const much = gateway.transfer({ payoutId: 'p-much', accountId, amountMicros: 900_000_000n });
  await expect(much).rejects.toMatchObject({
    code: 'stripe/refused',
    details: { stripe_code: 'balance_insufficient' },
  });
});

test('the statement has every line once, in pages, and sums to the balance', async () => {
  const lines = [];
  for await (const page of gateway.listStatement(new Date(0))) lines.push(...page);
  expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
  const { availableMicros, pendingMicros } = await gateway.readBalance();
  const sum = lines.reduce((total, line) => total + line.amountMicros - line.feeMicros, 0n);
  expect(sum).toBe(availableMicros + pendingMicros);
});
