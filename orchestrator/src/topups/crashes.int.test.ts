import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cardRefunds } from '@computefabric/db/schema/card-refunds';
import { topUps } from '@computefabric/db/schema/top-ups';
import type { UserId } from '@computefabric/protocol/ids';
import { asc, eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditLedger } from '../ledger/audit.store.ts';
import { type CardBench, startCardBench } from '../testing/card-bench.ts';
import { dyingAt } from '../testing/dying-gateway.ts';
import { freePort, spawnOrchestrator, untilReady } from '../testing/orchestrator-process.ts';
import { balancesOf, billingAccountOf } from '../testing/stripe-market.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { reconcile } from './reconcile.ts';
import { refundBalance } from './refund-balance.ts';
import { setAutoTopUp } from './set-auto-top-up.ts';

let bench: CardBench;
beforeAll(async () => {
  bench = await startCardBench('prepaid');
});
afterAll(() => bench.close());

const USD = 1_000_000n;

const faults = ['lost', 'error', 'error_after', 'down', 'rate_limited'] as const;

/** What went wrong in the first passes. Afterwards all is well. */
const mishaps: [string, () => Promise<void>][] = [
  ...[1, 2, 3, 4].flatMap((at) =>
    (['before', 'after'] as const).map((when): [string, () => Promise<void>] => [
      `the process dies ${when} call ${at}`,
      () => bench.pass(dyingAt(at, when, bench.gateway)),
    ]),
  ),
  ...faults.flatMap((kind) =>
    (
      [
        ['POST', '/payment_intents$'],
        ['POST', '/confirm$'],
        ['GET', '/payment_intents/pi_\\w+$'],
        ['POST', '/refunds$'],
        ['GET', '/refunds$'],
      ] as const
    ).flatMap(([method, path]) =>
      // Once: the SDK's own repeat sees what is kept under the key. Thrice: it gives up.
      [1, 3].map((times): [string, () => Promise<void>] => [
        `Stripe's answer to ${method} ${path} is ${kind}, ${times} in a row`,
        async () => {
          await bench.stripe.control('faults', { kind, path, method, times });
          await bench.pass();
          await bench.stripe.control('clear-faults');
        },
      ]),
    ),
  ),
];

const chargesAtStripe = async (userId: UserId) => {
  const customer = (await billingAccountOf(bench.db, userId))?.customerId;
  return bench.stripe.world.all('charge').filter((charge) => charge.customer === customer && charge.paid);
};

describe('a card is charged exactly once', () => {
  test.each(mishaps)('when %s', async (_name, mishap) => {
    const renter = await bench.addRenter('pm_card_visa');
    await setAutoTopUp(bench.deps, renter, {
      thresholdMicros: USD,
      amountMicros: 20n * USD,
      ceilingMicros: 20n * USD,
    });
    await mishap();
    for (let pass = 0; pass < 3; pass += 1) await bench.pass();
    expect((await chargesAtStripe(renter)).map(({ amount }) => amount)).toEqual([2_000]);
    expect((await balancesOf(bench.db, renter)).renter_available).toBe(20n * USD);
  });
});

describe('a refund is made exactly once', () => {
  test.each(mishaps)('when %s', async (_name, mishap) => {
    const renter = await bench.addRenter();
    await bench.topUp(renter, 20n * USD);
    await bench.db.transaction((tx) => refundBalance(tx, renter, 8n * USD));
    await mishap();
    for (let pass = 0; pass < 3; pass += 1) await bench.pass();
    const [charge] = await chargesAtStripe(renter);
    expect(charge?.amount_refunded).toBe(800);
    expect((await balancesOf(bench.db, renter)).renter_available).toBe(12n * USD);
    const rows = await bench.db.select().from(cardRefunds).where(eq(cardRefunds.userId, renter));
    expect(rows).toMatchObject([{ state: 'succeeded' }]);
  });
});

test('an automatic top-up that its card holder never confirms is given up after a day, and the next one may begin', async () => {
  const renter = await bench.addRenter('pm_card_authenticationRequired');
  await setAutoTopUp(bench.deps, renter, {
    thresholdMicros: USD,
    amountMicros: 20n * USD,
    ceilingMicros: 20n * USD,
  });
  await bench.pass();
  const charges = () =>
    bench.db.select().from(topUps).where(eq(topUps.userId, renter)).orderBy(asc(topUps.id));
  expect(await charges()).toMatchObject([{ state: 'needs_action' }]);
  await bench.db
    .update(topUps)
    .set({ createdAt: sql`now() - interval '25 hours'` })
    .where(eq(topUps.userId, renter));
  await setAutoTopUp(bench.deps, renter, null);
  await bench.pass();
  expect(await charges()).toMatchObject([{ state: 'canceled', actionUrl: null }]);
  expect(await chargesAtStripe(renter)).toEqual([]);
});

test('a process that is killed while Stripe charges a card books that charge when it is back', {
  timeout: 180_000,
}, async () => {
  const renter = await bench.addRenter('pm_card_visa');
  const home = await mkdtemp(join(tmpdir(), 'cf-charge-'));
  const port = await freePort();
  const start = () =>
    spawnOrchestrator({
      DATABASE_URL: bench.databaseUrl,
      COMPUTEFABRIC_HOME: home,
      ORCHESTRATOR_PORT: String(port),
      STRIPE_SECRET_KEY: 'sk_test_standin',
      STRIPE_API_BASE: bench.stripe.url,
    });
  const first = start();
  let second: ReturnType<typeof start> | undefined;
  try {
    await untilReady(`http://127.0.0.1:${port}`, first);
    await bench.stripe.control('faults', { kind: 'stall', path: '/confirm$', ms: 120_000 });
    await setAutoTopUp(bench.deps, renter, {
      thresholdMicros: USD,
      amountMicros: 20n * USD,
      ceilingMicros: 20n * USD,
    });
    await waitUntil('the bank has paid', async () => (await chargesAtStripe(renter)).length === 1, 30_000);
    await first.stop('SIGKILL');
    expect((await balancesOf(bench.db, renter)).renter_available ?? 0n).toBe(0n);
    second = start();
    await untilReady(`http://127.0.0.1:${port}`, second);
    // Two minutes, in which the dead one might still have been at it, are over.
    await bench.db.execute(sql`update top_ups set not_before = now() where state = 'open'`);
    const booked = async () => (await balancesOf(bench.db, renter)).renter_available === 20n * USD;
    await waitUntil('the charge is booked', booked, 60_000);
    expect((await chargesAtStripe(renter)).map(({ amount }) => amount)).toEqual([2_000]);
  } finally {
    first.child.kill('SIGKILL');
    second?.child.kill('SIGKILL');
    await second?.ended;
    await rm(home, { recursive: true, force: true });
  }
});

test('the books and Stripe agree after all of this', async () => {
  expect(await auditLedger(bench.db)).toEqual([]);
  expect(await reconcile(bench.deps, 0)).toEqual({ differenceMicros: 0n, unexplained: [] });
});
