import { payments } from '@computefabric/db/schema/payments';
import { topUps } from '@computefabric/db/schema/top-ups';
import type { JobId, UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { asc, eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditLedger } from '../ledger/audit.store.ts';
import { type CardBench, startCardBench } from '../testing/card-bench.ts';
import { balancesOf, billingAccountOf } from '../testing/stripe-market.ts';
import { payOwed } from './cards.ts';
import { collectEndedJobs } from './collect-jobs.ts';
import { followDispute } from './follow-dispute.ts';
import { reconcile } from './reconcile.ts';

let bench: CardBench;
beforeAll(async () => {
  bench = await startCardBench('per_job');
});
afterAll(() => bench.close());

const USD = 1_000_000n;
const chargesOf = (userId: UserId) =>
  bench.db.select().from(topUps).where(eq(topUps.userId, userId)).orderBy(asc(topUps.id));
const stateOf = async (jobId: JobId) =>
  (await bench.db.select().from(payments).where(eq(payments.jobId, jobId)))[0]?.state;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (thrown: unknown) => (thrown instanceof AppError ? thrown.code : String(thrown)),
  );

async function runJob(userId: UserId, cost: bigint): Promise<JobId> {
  const job = await bench.submit(userId, 2n * USD);
  await bench.end(job, cost);
  return job;
}

test('a job of an account without a card is refused, and taken once there is one', async () => {
  const renter = await bench.addRenter();
  await bench.pass(); // the account learns that this market charges each job
  expect(await codeOf(bench.submit(renter, USD))).toBe('billing/card-required');
  await bench.saveCard(renter, 'pm_card_visa');
  expect(await codeOf(bench.submit(renter, USD))).toBe('accepted');
});

test('a job is charged to the saved card when it has ended, to the cent above, and its payment succeeds with it', async () => {
  const renter = await bench.addRenter('pm_card_visa');
  const job = await runJob(renter, 1_234_567n);
  expect(await stateOf(job)).toBe('pending');
  await bench.pass();
  expect(await chargesOf(renter)).toMatchObject([
    { method: 'per_job', state: 'succeeded', amountMicros: 1_240_000n },
  ]);
  expect(await stateOf(job)).toBe('succeeded');
  // The part of a cent beyond is the renter's.
  expect(await balancesOf(bench.db, renter)).toMatchObject({
    renter_available: 5_433n,
    renter_debt: 0n,
    renter_held: 0n,
  });
  await bench.pass();
  expect(await chargesOf(renter)).toHaveLength(1);
});

test('costs below the least charge are gathered until they reach it', async () => {
  const renter = await bench.addRenter('pm_card_visa');
  const jobs: JobId[] = [];
  for (const cost of [200_000n, 200_000n]) {
    jobs.push(await runJob(renter, cost));
    await bench.pass();
    expect(await chargesOf(renter)).toEqual([]);
  }
  jobs.push(await runJob(renter, 200_000n));
  await bench.pass();
  expect(await chargesOf(renter)).toMatchObject([{ state: 'succeeded', amountMicros: 600_000n }]);
  expect(await Promise.all(jobs.map(stateOf))).toEqual(['succeeded', 'succeeded', 'succeeded']);
});

test('what stays below the least charge for a month is charged that much, and the rest is there to spend', async () => {
  const renter = await bench.addRenter('pm_card_visa');
  await runJob(renter, 100_000n);
  await collectEndedJobs(bench.deps, 0); // a month ago is now
  await bench.pass();
  expect(await chargesOf(renter)).toMatchObject([{ amountMicros: 500_000n }]);
  expect(await balancesOf(bench.db, renter)).toMatchObject({ renter_available: 400_000n, renter_debt: 0n });
});

test('unfinished and unpaid jobs together stay within the credit limit, however many are submitted at once', async () => {
  const renter = await bench.addRenter('pm_card_visa');
  const codes = await Promise.all(Array.from({ length: 15 }, () => codeOf(bench.submit(renter, 2n * USD))));
  expect(codes.filter((code) => code === 'accepted')).toHaveLength(10); // of 20 USD
  expect(codes.filter((code) => code === 'billing/credit-limit')).toHaveLength(5);
  expect((await balancesOf(bench.db, renter)).renter_debt).toBe(-20n * USD);
});

test('a refused card fails the payment and stops submits until another card has paid', async () => {
  const renter = await bench.addRenter('pm_card_chargeCustomerFail');
  const job = await runJob(renter, USD);
  await bench.pass();
  expect(await chargesOf(renter)).toMatchObject([{ state: 'failed', failureCode: 'generic_decline' }]);
  expect(await stateOf(job)).toBe('failed');
  expect(await codeOf(bench.submit(renter, USD))).toBe('billing/account-frozen');
  await payOwed(bench.deps, renter); // the same card: refused again
  await bench.pass();
  expect(await stateOf(job)).toBe('failed');
  await bench.saveCard(renter, 'pm_card_visa');
  await bench.pass();
  expect(await stateOf(job)).toBe('succeeded');
  expect(await codeOf(bench.submit(renter, USD))).toBe('accepted');
  expect(await chargesOf(renter)).toMatchObject([{ state: 'succeeded', attempts: 3 }]);
});

test('a bank that wants a confirmation leaves the payment pending with a link, and it succeeds with the confirmation', async () => {
  const renter = await bench.addRenter('pm_card_authenticationRequired');
  const job = await runJob(renter, USD);
  await bench.pass();
  const [waiting] = await chargesOf(renter);
  expect(waiting).toMatchObject({ state: 'needs_action' });
  expect(await stateOf(job)).toBe('pending');
  await fetch(waiting?.actionUrl ?? '', {
    method: 'POST',
    body: new URLSearchParams({ do: 'pass' }),
    redirect: 'manual',
  });
  await bench.pass();
  expect(await stateOf(job)).toBe('succeeded');
});

test('a confirmation that fails is a refusal', async () => {
  const renter = await bench.addRenter('pm_card_authenticationRequired');
  const job = await runJob(renter, USD);
  await bench.pass();
  const [waiting] = await chargesOf(renter);
  await fetch(waiting?.actionUrl ?? '', {
    method: 'POST',
    body: new URLSearchParams({ do: 'fail' }),
    redirect: 'manual',
  });
  await bench.pass();
  expect(await stateOf(job)).toBe('failed');
  expect((await billingAccountOf(bench.db, renter))?.frozenBy).toBe('unpaid');
});

test('a disputed charge makes its payments disputed, and refunded when it is lost', async () => {
  const renter = await bench.addRenter('pm_card_createDispute');
  const job = await runJob(renter, USD);
  await bench.pass();
  expect(await stateOf(job)).toBe('succeeded');
  const dispute = bench.stripe.world.all('dispute')[0]?.id ?? '';
  await followDispute(bench.deps, dispute);
  expect(await stateOf(job)).toBe('disputed');
  await bench.stripe.control('close-dispute', { id: dispute, outcome: 'lost' });
  await followDispute(bench.deps, dispute);
  expect(await stateOf(job)).toBe('refunded');
  expect((await billingAccountOf(bench.db, renter))?.frozenBy).toBe('unpaid');
});

test('the books and Stripe agree after all of this', async () => {
  expect(await auditLedger(bench.db)).toEqual([]);
  expect(await reconcile(bench.deps, 0)).toEqual({ differenceMicros: 0n, unexplained: [] });
});
