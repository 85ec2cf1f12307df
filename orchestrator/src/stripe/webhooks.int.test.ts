import { createHmac } from 'node:crypto';
import { createDb } from '@computefabric/db/client';
import { stripeEvents } from '@computefabric/db/schema/stripe-events';
import { createTestDatabase } from '@computefabric/db/testing';
import { silentLogger } from '@computefabric/runtime/log';
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestMarket, type TestMarket } from '../testing/test-market.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { dispatchEvents } from './dispatch-events.worker.ts';

const secret = 'whsec_test';
let market: TestMarket;
beforeAll(async () => {
  market = await startTestMarket({
    STRIPE_SECRET_KEY: 'sk_test_x',
    STRIPE_WEBHOOK_SECRET: secret,
    STRIPE_API_BASE: 'http://127.0.0.1:9', // nobody: nothing here may ask Stripe
  });
});
afterAll(() => market.close());

let lastEvent = 0;
function newEvent(type = 'customer.created', object: object = { id: 'cus_x' }) {
  lastEvent += 1;
  const created = Math.floor(Date.now() / 1_000);
  return { id: `evt_${process.pid}x${lastEvent}`, object: 'event', type, created, data: { object } };
}

const seconds = (offset = 0) => Math.floor(Date.now() / 1_000) + offset;
const sign = (body: string, time = seconds(), key = secret, scheme = 'v1') =>
  `t=${time},${scheme}=${createHmac('sha256', key).update(`${time}.${body}`).digest('hex')}`;

async function send(body: string, signature?: string) {
  const { status, text } = await market.call('/webhooks/stripe', {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      ...(signature === undefined ? {} : { 'stripe-signature': signature }),
    },
  });
  return { status, ...(JSON.parse(text) as { known?: boolean; error?: { code: string } }) };
}

const kept = async (id: string) =>
  (await market.db.select().from(stripeEvents).where(eq(stripeEvents.id, id)))[0];

describe('a webhook', () => {
  test.each([
    ['is signed now', (body: string) => sign(body)],
    ['was signed 299 seconds ago', (body: string) => sign(body, seconds(-299))],
    ['carries an old and a new signature', (body: string) => `${sign(body)},v1=${'0'.repeat(64)}`],
  ])('that %s is taken', async (_case, signatureOf) => {
    const event = newEvent();
    const body = JSON.stringify(event);
    expect(await send(body, signatureOf(body))).toMatchObject({ status: 200, known: false });
    expect(await kept(event.id)).toMatchObject({ type: 'customer.created', objectId: 'cus_x' });
  });

  test.each([
    ['without a signature', (_body: string) => undefined],
    ['with an empty one', () => ''],
    ["with another's secret", (body: string) => sign(body, seconds(), 'whsec_other')],
    ['with an empty secret', (body: string) => sign(body, seconds(), 'x'.repeat(0))],
    ['that was signed 301 seconds ago', (body: string) => sign(body, seconds(-301))],
    ['that is signed for tomorrow', (body: string) => sign(body, seconds(86_400))],
    ['with the old scheme only', (body: string) => sign(body, seconds(), secret, 'v0')],
    ['with two times', (body: string) => `t=${seconds()},${sign(body, seconds(-900))}`],
    ['without a time', (body: string) => sign(body).replace(/^t=\d+,/, '')],
    ['with a signature of other bytes', (body: string) => sign(`${body} `)],
    ['whose time was moved', (body: string) => sign(body, seconds(-900)).replace(/^t=\d+/, `t=${seconds()}`)],
    ['with words for a time', (body: string) => sign(body).replace(/^t=\d+/, 't=now')],
  ])('%s is refused and leaves no trace', async (_case, signatureOf) => {
    const event = newEvent();
    const body = JSON.stringify(event);
    const { status, error } = await send(body, signatureOf(body));
    expect([status, error?.code]).toEqual([400, 'stripe/bad-signature']);
    expect(await kept(event.id)).toBeUndefined();
  });

  test('is checked by its exact bytes, also where they mean the same', async () => {
    const event = newEvent();
    const body = JSON.stringify(event, null, 2);
    const again = JSON.stringify(event);
    expect((await send(again, sign(body))).status).toBe(400);
    expect((await send(body, sign(body))).status).toBe(200);
  });

  test('that is signed and no event is refused', async () => {
    for (const body of [
      '[]',
      '{"id":"evt_1"}',
      '{"id":"cus_1","type":"x","created":1,"data":{"object":{}}}',
    ]) {
      expect((await send(body, sign(body))).status).toBe(400);
    }
  });

  test('larger than a megabyte is refused before it is read', async () => {
    const body = JSON.stringify({ ...newEvent(), padding: 'x'.repeat(1_100_000) });
    expect((await send(body, sign(body))).status).toBe(413);
  });

  test('that comes a hundred times at once is kept and handled once', async () => {
    const event = newEvent('customer.updated');
    const body = JSON.stringify(event);
    const answers = await Promise.all(Array.from({ length: 100 }, () => send(body, sign(body))));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(answers.filter(({ known }) => known === false)).toHaveLength(1);
  });

  test('of a type that nobody knows gets 200 and is noted as ignored', async () => {
    const event = newEvent('something.nobody_has_heard_of');
    const body = JSON.stringify(event);
    expect((await send(body, sign(body))).status).toBe(200);
    const row = await waitUntil('it is ignored', async () => {
      const found = await kept(event.id);
      return found?.state === 'waiting' ? null : found;
    });
    expect(row.state).toBe('ignored');
  });
});

test('an event whose handler keeps failing is put aside, and the others go on', async () => {
  // A database of its own: the market's worker would take these events.
  const database = await createTestDatabase();
  const { db, close } = createDb(database.url);
  try {
    const row = (id: string) => ({ id, type: `test.${id}`, objectId: id, happenedAt: new Date() });
    await db.insert(stripeEvents).values([row('poison'), row('good')]);
    const handled: string[] = [];
    const handlers = {
      'test.poison': async () => {
        throw new Error('no');
      },
      'test.good': async (id: string) => {
        handled.push(id);
      },
    };
    for (let pass = 0; pass < 15; pass += 1) {
      await dispatchEvents({ db, log: silentLogger, handlers });
      await db
        .update(stripeEvents)
        .set({ notBefore: new Date(0) })
        .where(eq(stripeEvents.state, 'waiting'));
    }
    expect(handled).toEqual(['good']);
    const rows = await db.select().from(stripeEvents);
    expect(rows.find(({ id }) => id === 'poison')).toMatchObject({
      state: 'parked',
      attempts: 12,
      failure: 'no',
    });
    expect(rows.find(({ id }) => id === 'good')).toMatchObject({ state: 'done', attempts: 0 });
  } finally {
    await close();
    await database.close();
  }
});

test('without a payment provider there is no such address', async () => {
  const other = await startTestMarket();
  try {
    expect((await other.call('/webhooks/stripe', { method: 'POST', body: '{}' })).status).toBe(404);
  } finally {
    await other.close();
  }
});
