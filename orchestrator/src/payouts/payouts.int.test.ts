import type { UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { decideDispute } from '../disputes/decide-dispute.ts';
import { insertDispute, lockPayment, movePayment } from '../disputes/dispute.store.ts';
import { auditLedger } from '../ledger/audit.store.ts';
import { newId, type JobId } from '@computefabric/protocol/ids';
import { type PayoutBench, startPayoutBench, type TestOwner } from '../testing/payout-bench.ts';
import { balancesOf } from '../testing/stripe-market.ts';
import { followDispute } from '../topups/follow-dispute.ts';
import { reconcile } from '../topups/reconcile.ts';
import { createPayout } from './create-payout.ts';
import { followPayout } from './follow-payout.ts';
import { listPayouts } from './payout.store.ts';
import { changeSchedule, findPayoutAccount } from './payout-account.store.ts';
import { correctPayout, recordPayout } from './record-payout.ts';
import { setUpPayouts, syncPayoutAccount } from './set-up-payouts.ts';

let bench: PayoutBench;
beforeAll(async () => {
  bench = await startPayoutBench();
});
afterAll(() => bench.close());
afterEach(async () => expect(await auditLedger(bench.db)).toEqual([]));

const USD = 1_000_000n;
const balances = async ({ userId }: TestOwner) => {
  const now = await balancesOf(bench.db, userId);
  return {
    held: now.provider_held_back ?? 0n,
    payable: now.provider_payable ?? 0n,
    transit: now.provider_in_transit ?? 0n,
    owed: -(now.provider_debt ?? 0n),
  };
};
const payoutsOf = ({ userId }: TestOwner) =>
  listPayouts(bench.db, { userId, state: undefined, limit: 100, before: undefined });
const request = (owner: TestOwner, amountMicros: bigint | null = null) =>
  bench.db.transaction((tx) =>
    createPayout(tx, bench.payouts.settings, { userId: owner.userId, amountMicros, leastMicros: USD }),
  );
const record = (owner: TestOwner, amountMicros: bigint) =>
  bench.db.transaction((tx) =>
    recordPayout(tx, bench.payouts.settings, {
      to: owner.userId,
      amountMicros,
      reference: 'by bank, 24 November',
      recordedBy: bench.renter,
    }),
  );
const reconciled = () => reconcile(bench.deps, 0);
const right = { differenceMicros: 0n, unexplained: [] };

/** The renter contests a job that they paid for. */
async function contest(job: JobId) {
  const id = newId('dispute');
  await bench.db.transaction(async (tx) => {
    const payment = await lockPayment(tx, job);
    if (!payment) throw new Error('paid');
    await insertDispute(tx, {
      id,
      jobId: job,
      userId: payment.userId as UserId,
      reason: 'other',
      message: 'x',
      evidence: {},
    });
    await movePayment(tx, payment.id, 'disputed');
  });
  return {
    decide: (outcome: 'granted' | 'denied') =>
      decideDispute(bench.db, id, {
        outcome,
        blame: outcome === 'granted' ? 'provider' : 'nobody',
        explanation: 'so it is',
        by: { operator: bench.renter },
      }),
  };
}

describe('the hold window', () => {
  test('young earnings are kept, old ones are paid on the day of the schedule, and less than a cent stays', async () => {
    const owner = await bench.addPaidOwner();
    await bench.earn(owner, 5n * USD + 4_321n);
    await bench.earn(owner, 3n * USD, { age: 'young' });
    await bench.makeDue(owner);
    await bench.payPass();
    expect(await bench.transfersTo(owner)).toEqual([500]);
    expect(await balances(owner)).toEqual({ held: 3n * USD, payable: 4_321n, transit: 0n, owed: 0n });
    expect(await payoutsOf(owner)).toMatchObject([{ state: 'sent', amountMicros: 5n * USD }]);
    const account = await findPayoutAccount(bench.db, owner.userId);
    expect(account?.nextPayoutAt?.getUTCDay()).toBe(1);
    expect(account?.nextPayoutAt?.getTime()).toBeGreaterThan(Date.now());
    await bench.payPass();
    expect(await bench.transfersTo(owner)).toEqual([500]);
    expect(await reconciled()).toEqual(right);
  });

  test('of a new owner nothing is released before enough of their tries are settled', async () => {
    const owner = await bench.addPaidOwner();
    const settings = { ...bench.payouts.settings, firstJobs: 3 };
    const attempt = () =>
      bench.db.transaction((tx) =>
        createPayout(tx, settings, { userId: owner.userId, amountMicros: null, leastMicros: USD }),
      );
    await bench.earn(owner, 2n * USD);
    await bench.earn(owner, 2n * USD);
    await expect(attempt()).rejects.toMatchObject({ code: 'payout/below-minimum' });
    await bench.earn(owner, 2n * USD);
    expect(await attempt()).toMatchObject({ amountMicros: 6n * USD });
    await bench.payPass();
  });

  test('the schedule is the owner’s: by hand nothing goes by itself, and below their minimum it waits', async () => {
    const owner = await bench.addPaidOwner();
    await bench.earn(owner, 4n * USD);
    await bench.db.transaction((tx) => changeSchedule(tx, owner.userId, { minimumMicros: 5n * USD }));
    await bench.makeDue(owner);
    await bench.payPass();
    expect(await payoutsOf(owner)).toEqual([]);
    await bench.earn(owner, 4n * USD);
    await bench.db.transaction((tx) => changeSchedule(tx, owner.userId, { schedule: 'manual' }));
    expect((await findPayoutAccount(bench.db, owner.userId))?.nextPayoutAt).toBeNull();
    await bench.payPass();
    expect(await payoutsOf(owner)).toEqual([]);
    await request(owner, 2n * USD);
    await expect(request(owner)).rejects.toMatchObject({ code: 'payout/under-way' });
    await bench.payPass();
    await expect(request(owner, 7n * USD)).rejects.toMatchObject({ code: 'payout/not-enough' });
    await request(owner);
    await bench.payPass();
    expect(await bench.transfersTo(owner)).toEqual([600, 200]);
  });

  test('payouts of one owner that are asked for at once take the money once', async () => {
    const owner = await bench.addPaidOwner();
    await bench.earn(owner, 6n * USD);
    const tried = await Promise.allSettled(Array.from({ length: 8 }, () => request(owner)));
    expect(tried.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await bench.payPass();
    expect(await bench.transfersTo(owner)).toEqual([600]);
  });
});

describe('contested earnings', () => {
  test('what a renter contests is kept until it is decided, wherever it was', async () => {
    const owner = await bench.addPaidOwner();
    const contested = await bench.earn(owner, 4n * USD);
    await bench.payPass(); // matured
    await bench.earn(owner, 3n * USD);
    const dispute = await contest(contested);
    expect((await request(owner)).amountMicros).toBe(3n * USD);
    await bench.payPass();
    await expect(request(owner)).rejects.toMatchObject({ code: 'payout/below-minimum' });
    await dispute.decide('denied');
    expect((await request(owner)).amountMicros).toBe(4n * USD);
    await bench.payPass();
    expect(new Set(await bench.transfersTo(owner))).toEqual(new Set([300, 400]));
  });

  test('a card holder’s claim keeps what that renter’s jobs have earned, and no more once it is won', async () => {
    const [owner, untouched] = [await bench.addPaidOwner(), await bench.addPaidOwner()];
    const renter = await bench.addRenter();
    await bench.topUp(renter, 20n * USD);
    const charge = bench.stripe.world.all('charge').at(0)?.id ?? '';
    await bench.earn(owner, 5n * USD, { by: renter });
    await bench.earn(owner, 2n * USD);
    await bench.earn(untouched, 2n * USD);
    const { id } = (await bench.stripe.control('dispute', { id: charge })) as { id: string };
    await followDispute(bench.deps, id);
    expect((await request(owner)).amountMicros).toBe(2n * USD);
    expect((await request(untouched)).amountMicros).toBe(2n * USD);
    await bench.payPass();
    expect((await balances(owner)).held).toBe(5n * USD);
    await bench.stripe.control('close-dispute', { id, outcome: 'won' });
    await followDispute(bench.deps, id);
    expect((await request(owner)).amountMicros).toBe(5n * USD);
    await bench.payPass();
  });

  test('what is taken back after it was paid out is owed, and later earnings pay that first', async () => {
    const owner = await bench.addPaidOwner();
    const job = await bench.earn(owner, 5n * USD);
    await request(owner);
    await bench.payPass();
    const dispute = await contest(job);
    await dispute.decide('granted');
    expect(await balances(owner)).toMatchObject({ payable: 0n, owed: 5n * USD });
    await bench.earn(owner, 4n * USD);
    await expect(request(owner)).rejects.toMatchObject({ code: 'payout/below-minimum' });
    await bench.earn(owner, 4n * USD);
    expect((await request(owner)).amountMicros).toBe(3n * USD);
    await bench.payPass();
    expect(await balances(owner)).toEqual({ held: 0n, payable: 0n, transit: 0n, owed: 0n });
    expect(new Set(await bench.transfersTo(owner))).toEqual(new Set([300, 500]));
  });
});

describe('transfers', () => {
  test('one that Stripe refuses is back in what may be paid out, with the reason, and the next waits', async () => {
    const owner = await bench.addPaidOwner();
    await bench.earn(owner, 5n * USD);
    await bench.makeDue(owner);
    // Stripe wants to know more, and no event has told of it.
    await bench.stripe.control('restrict-account', { id: await bench.accountOf(owner) });
    await bench.payPass();
    expect(await payoutsOf(owner)).toMatchObject([
      { state: 'failed', failureCode: 'insufficient_capabilities_for_transfer', transferId: null },
    ]);
    expect(await balances(owner)).toMatchObject({ payable: 5n * USD, transit: 0n });
    await syncPayoutAccount(bench.payouts, owner.userId);
    await expect(request(owner)).rejects.toMatchObject({ code: 'payout/account-incomplete' });
    await bench.stripe.control('complete-onboarding', { id: await bench.accountOf(owner) });
    await syncPayoutAccount(bench.payouts, owner.userId);
    await request(owner);
    await bench.payPass();
    expect(await bench.transfersTo(owner)).toEqual([500]);
    expect(await reconciled()).toEqual(right);
  });

  test('one that is reversed at Stripe, in parts, comes back part by part, each once', async () => {
    const owner = await bench.addPaidOwner();
    await bench.earn(owner, 5n * USD);
    const { id } = await request(owner);
    await bench.payPass();
    const [{ transferId } = { transferId: null }] = await payoutsOf(owner);
    const reverse = (cents: bigint, cause: string) =>
      bench.gateway.reverseTransfer({
        cause,
        transferId: transferId ?? '',
        amountMicros: cents * 10_000n,
      });
    await reverse(150n, 'first');
    for (let times = 0; times < 3; times += 1) await followPayout(bench.payouts, id);
    expect(await payoutsOf(owner)).toMatchObject([{ state: 'sent', returnedMicros: 1_500_000n }]);
    await reverse(350n, 'second');
    for (let times = 0; times < 3; times += 1) await followPayout(bench.payouts, id);
    expect(await payoutsOf(owner)).toMatchObject([{ state: 'reversed', returnedMicros: 5n * USD }]);
    expect(await balances(owner)).toMatchObject({ payable: 5n * USD, transit: 0n });
    expect(await reconciled()).toEqual(right);
  });

  test('what the owner’s bank has is paid, the oldest first; what it does not take is said', async () => {
    const owner = await bench.addPaidOwner();
    await bench.earn(owner, 5n * USD);
    await request(owner, 2n * USD);
    await bench.payPass();
    await request(owner, 3n * USD);
    await bench.payPass();
    const account = await bench.accountOf(owner);
    const toBank = async (cents: number, act: 'pay-payout' | 'fail-payout') => {
      const answer = await fetch(`${bench.stripe.url}/v1/payouts`, {
        method: 'POST',
        headers: { authorization: 'Bearer sk_test_standin', 'stripe-account': account },
        body: new URLSearchParams({ amount: String(cents), currency: 'usd' }),
      });
      const { id } = (await answer.json()) as { id: string };
      await bench.stripe.control(act, { id, account });
      await syncPayoutAccount(bench.payouts, owner.userId);
    };
    await toBank(300, 'fail-payout');
    expect((await findPayoutAccount(bench.db, owner.userId))?.bankFailure).toContain('closed');
    expect(await payoutsOf(owner)).toMatchObject([{ state: 'sent' }, { state: 'sent' }]);
    await toBank(300, 'pay-payout');
    expect(await payoutsOf(owner)).toMatchObject([{ state: 'sent' }, { state: 'paid' }]);
    await toBank(200, 'pay-payout');
    expect(await payoutsOf(owner)).toMatchObject([{ state: 'paid' }, { state: 'paid' }]);
  });

  test('an owner’s account at Stripe is made once and never replaced', async () => {
    const owner = await bench.addOwner();
    const urls = await Promise.all([1, 2, 3].map(() => setUpPayouts(bench.payouts, owner.userId, 'US')));
    expect(new Set(urls).size).toBe(3);
    const { email } = (
      await bench.db.execute<{ email: string }>(sql`select email from users where id = ${owner.userId}`)
    ).rows[0] ?? { email: '' };
    expect(bench.stripe.world.all('account').filter((one) => one.email === email)).toHaveLength(1);
  });

  test('one cent at Stripe that the ledger does not know is found and named', async () => {
    const owner = await bench.addPaidOwner();
    const account = await bench.accountOf(owner);
    const { transferId } = await bench.gateway.transfer({
      payoutId: newId('payout'),
      accountId: account,
      amountMicros: 10_000n,
    });
    expect(await reconciled()).toMatchObject({
      differenceMicros: -10_000n,
      unexplained: [{ side: 'stripe', kind: 'transfer', amountMicros: -10_000n }],
    });
    await bench.gateway.reverseTransfer({ cause: 'mend', transferId, amountMicros: 10_000n });
    expect((await reconciled()).differenceMicros).toBe(0n);
    await bench.db.execute(sql`delete from statement_lines where source_id = ${transferId}`);
  });
});

describe('without a payment provider', () => {
  test('the operator writes down what they paid, never more than may be paid, and takes a mistake back once', async () => {
    const owner = await bench.addOwner();
    await bench.earn(owner, 5n * USD + 7n);
    await bench.earn(owner, 5n * USD, { age: 'young' });
    await expect(record(owner, 5n * USD + 8n)).rejects.toMatchObject({ code: 'payout/not-enough' });
    const { id } = await record(owner, 5n * USD + 7n);
    expect(await balances(owner)).toEqual({ held: 5n * USD, payable: 0n, transit: 0n, owed: 0n });
    const correct = () => bench.db.transaction((tx) => correctPayout(tx, id, 'it was somebody else'));
    expect(await correct()).toMatchObject({ state: 'reversed', returnedMicros: 5n * USD + 7n });
    await expect(correct()).rejects.toMatchObject({ code: 'payout/corrected' });
    expect(await balances(owner)).toMatchObject({ payable: 5n * USD + 7n });
  });
});
