import { stripeEvents } from '@computefabric/db/schema/stripe-events';
import type { UserId } from '@computefabric/protocol/ids';
import { silentLogger } from '@computefabric/runtime/log';
import { and, eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditLedger } from '../ledger/audit.store.ts';
import { dispatchEvents } from '../stripe/dispatch-events.worker.ts';
import { type CardBench, startCardBench } from '../testing/card-bench.ts';
import { balancesOf, billingAccountOf } from '../testing/stripe-market.ts';
import { reconcile } from './reconcile.ts';
import { refundBalance } from './refund-balance.ts';
import { startTopUp } from './start-top-up.ts';
import { topUpEventHandlers } from './top-up-events.ts';

let bench: CardBench;
beforeAll(async () => {
  bench = await startCardBench('prepaid');
});
afterAll(() => bench.close());

const USD = 1_000_000n;

/** A repeatable source of chance (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  return list
    .map((value) => ({ value, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

/** What happens to one renter at Stripe while no event arrives: two payments, a refund, a dispute and its end. */
async function live(userId: UserId, outcome: 'won' | 'lost' | 'open'): Promise<void> {
  for (const [micros, card] of [
    [20n * USD, 'pm_card_visa'],
    [10n * USD, 'pm_card_visa'],
  ] as const) {
    const request = {
      userId,
      requestKey: `live-${micros}`,
      method: 'checkout' as const,
      amountMicros: micros,
    };
    const { topUp } = await startTopUp(bench.deps, { ...request, saveCard: true });
    await bench.stripe.control('pay-checkout', { id: /cs_\w+/.exec(topUp.checkoutUrl ?? '')?.[0], card });
  }
  const customer = (await billingAccountOf(bench.db, userId))?.customerId;
  const [second, first] = bench.stripe.world.all('charge').filter((charge) => charge.customer === customer);
  // The operator refunds a part in Stripe's dashboard, and the other payment is claimed back.
  await fetch(`${bench.stripe.url}/v1/refunds`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer sk_test_operator',
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: `charge=${second?.id}&amount=300`,
  });
  const dispute = await bench.stripe.control('dispute', { id: first?.id });
  if (outcome !== 'open') {
    await bench.stripe.control('close-dispute', { id: (dispute as { id: string }).id, outcome });
  }
}

/** Delivers events as a market gets them: kept by their id, then worked on; again while a handler fails. */
async function deliver(
  events: { id: string; type: string; object: string }[],
  random: () => number,
): Promise<void> {
  const handlers = topUpEventHandlers(bench.deps);
  const work = async () => {
    await dispatchEvents({ db: bench.db, log: silentLogger, handlers });
    await bench.db
      .update(stripeEvents)
      .set({ notBefore: new Date(0) })
      .where(eq(stripeEvents.state, 'waiting'));
  };
  for (const { id, type, object } of events) {
    await bench.db
      .insert(stripeEvents)
      // Stripe's clock is no help: several have the same second, and here they lie.
      .values({ id, type, objectId: object, happenedAt: new Date(Math.floor(random() * 1e12)) })
      .onConflictDoNothing();
    if (random() < 0.3) await work();
  }
  for (let pass = 0; pass < 5; pass += 1) await work();
  const left = await bench.db
    .select()
    .from(stripeEvents)
    .where(and(eq(stripeEvents.state, 'waiting')));
  expect(left.map(({ type, failure }) => `${type}: ${failure}`)).toEqual([]);
}

const known = new Set<string>();
/** Events that came to be since this was asked last, oldest first. */
function newEvents() {
  const events = bench.stripe.world
    .all('event')
    .toReversed()
    .filter(({ id }) => !known.has(id))
    .map(({ id, type, data }) => ({ id, type, object: (data.object as { id: string }).id }));
  for (const { id } of events) known.add(id);
  return events;
}

const outcomes = ['won', 'lost', 'open'] as const;
/** More by EVENT_ORDERS, for a longer look. */
const orders = Number(process.env.EVENT_ORDERS ?? 12);

test('each event three times in random order leaves the same books as each once in its order', {
  timeout: 600_000,
}, async () => {
  for (const outcome of outcomes) {
    const inOrder = await bench.addRenter();
    await live(inOrder, outcome);
    await deliver(newEvents(), () => 0.5);
    const expected = await balancesOf(bench.db, inOrder);
    const freeze = (await billingAccountOf(bench.db, inOrder))?.frozenBy;
    expect(expected.renter_available).toBe(outcome === 'won' ? 27n * USD : 7n * USD);
    for (let order = 0; order < orders; order += 1) {
      const random = chance(order * 7_919 + outcome.length);
      const renter = await bench.addRenter();
      await live(renter, outcome);
      const once = newEvents();
      await deliver(shuffled([...once, ...once, ...once], random), random);
      expect(await balancesOf(bench.db, renter), `${outcome} ${order}`).toEqual(expected);
      expect((await billingAccountOf(bench.db, renter))?.frozenBy).toBe(freeze);
    }
  }
  expect(await auditLedger(bench.db)).toEqual([]);
  expect(await reconcile(bench.deps, 0)).toEqual({ differenceMicros: 0n, unexplained: [] });
});

test('a payment that is refunded before its event arrives is booked, and so is the refund', async () => {
  const renter = await bench.addRenter();
  const topUpId = await bench.topUp(renter, 10n * USD);
  await bench.db.transaction((tx) => refundBalance(tx, renter, null));
  await bench.pass();
  // `succeeded` arrives last of all.
  const events = newEvents().toReversed();
  await deliver(events, () => 0.9);
  expect(await balancesOf(bench.db, renter)).toMatchObject({ renter_available: 0n });
  expect(topUpId).toMatch(/^topup_/);
  expect(await reconcile(bench.deps, 0)).toEqual({ differenceMicros: 0n, unexplained: [] });
});

test('a hundred deliveries of one event at once are one credit', async () => {
  const renter = await bench.addRenter();
  const request = {
    userId: renter,
    requestKey: 'hundred',
    method: 'checkout' as const,
    amountMicros: 10n * USD,
  };
  const { topUp } = await startTopUp(bench.deps, { ...request, saveCard: false });
  await bench.stripe.control('pay-checkout', { id: topUp.checkoutId });
  const handler = topUpEventHandlers(bench.deps)['checkout.session.completed'];
  if (!handler) throw new Error('nobody handles a paid checkout');
  // Past the table that keeps each event once: the handler itself, all at the same time.
  await Promise.all(Array.from({ length: 100 }, () => handler(topUp.checkoutId ?? '', null)));
  expect((await balancesOf(bench.db, renter)).renter_available).toBe(10n * USD);
});
