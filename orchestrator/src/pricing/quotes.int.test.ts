import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import { createJob } from '@computefabric/protocol/user-api/jobs';
import { createQuote } from '@computefabric/protocol/user-api/quotes';
import { getReceipt } from '@computefabric/protocol/user-api/receipts';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testCards, testInventory } from '../testing/market-fixture.ts';
import { errorOf, parsed } from '../testing/replies.ts';
import { TestAgent } from '../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';
import { waitUntil } from '../testing/wait-until.ts';

let market: TestMarket;
let renter: TestUser;
let other: TestUser;
let machine: TestAgent;

beforeAll(async () => {
  market = await startTestMarket({ PRICE_FLOOR_PER_GPU_HOUR_USD: '0.10' });
  [renter, other] = [await market.addUser(), await market.addUser()];
  machine = await TestAgent.join(market, other, { cpus: 8, price_per_cpu_hour_micros: '360000' });
});
afterAll(() => market.close());

const job = { image: 'quoted', command: ['train', '--epochs', '3'], time_limit_seconds: 600 };

async function quote(user = renter, spec: object = job) {
  const answer = await market.call('/v1/quotes', { method: 'POST', token: user.token, json: spec });
  return parsed(createQuote.reply, answer);
}

/** Submits, and brings the program to its end after it has run for so long. */
async function run(seconds: number, path = '/v1/jobs'): Promise<string> {
  const submitted = await market.call(path, { method: 'POST', token: renter.token, json: job });
  const { id } = parsed(createJob.reply, submitted);
  const task = await machine.acceptNext();
  await task.start();
  await market.db
    .update(leases)
    .set({ startedAt: sql`${leases.startedAt} - make_interval(secs => ${seconds})` })
    .where(eq(leases.id, task.leaseId));
  await task.finish();
  return id;
}

async function receiptOf(id: string) {
  const ask = () => market.call(`/v1/jobs/${id}/receipt`, { token: renter.token });
  await waitUntil('a receipt', async () => (await ask()).status === 200);
  return parsed(getReceipt.reply, await ask()).receipt;
}

test('a quote is honest before the first run, and knows one’s own runs of the same program afterwards', async () => {
  expect((await quote()).estimate).toMatchObject({
    past_runs: 0,
    run_high_seconds: 600,
    wait_high_seconds: null,
  });
  for (const seconds of [100, 110, 120]) await run(seconds);
  const { estimate } = await quote();
  expect(estimate).toMatchObject({ past_runs: 3, wait_low_seconds: 0 });
  expect(estimate?.run_low_seconds).toBeGreaterThanOrEqual(79);
  expect(estimate?.run_high_seconds).toBeLessThanOrEqual(155);
  expect(BigInt(estimate?.cost_high_micros ?? 0)).toBeLessThanOrEqual(15_500n);
  // Others' runs are theirs, and another command is another program.
  expect((await quote(other)).estimate?.past_runs).toBe(0);
  expect((await quote(renter, { ...job, command: ['train'] })).estimate?.past_runs).toBe(0);
});

test('a job that was submitted with a quote has it on its receipt, beside what it came to', async () => {
  const { id: quoteId, estimate } = await quote();
  const id = await run(200, `/v1/jobs?quote=${quoteId}`);
  const receipt = await receiptOf(id);
  expect(receipt.estimate).toMatchObject({
    cost_high_micros: estimate?.cost_high_micros,
    run_high_seconds: estimate?.run_high_seconds,
  });
  expect(Number(receipt.cost_micros)).toBeGreaterThan(Number(estimate?.cost_high_micros));
  // It is used up, and a second job has none.
  expect((await receiptOf(await run(10, `/v1/jobs?quote=${quoteId}`))).estimate).toBeNull();
});

test('a quote of somebody else, or of another job, is not taken and refuses nothing', async () => {
  const foreign = await quote(other);
  const another = await quote(renter, { ...job, time_limit_seconds: 601 });
  for (const { id } of [foreign, another]) {
    expect((await receiptOf(await run(5, `/v1/jobs?quote=${id}`))).estimate).toBeNull();
  }
});

test("a machine that asks less than the operator's floor is refused, at first and when its price changes", async () => {
  const gpus = testCards(1);
  const below = { gpus, price_per_gpu_hour_micros: '99999' };
  await expect(TestAgent.join(market, other, below)).rejects.toThrow(/must be at least \$0\.10/);
  const floor = { gpus, price_per_gpu_hour_micros: '100000' };
  const cheap = await TestAgent.join(market, other, floor);
  const sayHello = (change: object) =>
    cheap.call('/hello', {
      agent_version: '1',
      inventory: { ...testInventory, ...floor, ...change },
      tasks: [],
      signing_key: cheap.signer?.publicKey,
    });
  for (const [field, change] of [
    ['price_per_gpu_hour_micros', below],
    ['spot_percent', { spot_percent: 99 }],
  ] as const) {
    const refused = await sayHello(change);
    expect(refused.status).toBe(400);
    expect(errorOf(refused)).toMatchObject({
      code: 'request/invalid',
      fields: [{ path: `inventory.${field}`, message: expect.stringContaining('$0.10') }],
    });
  }
  const [row] = await market.db.select().from(providers).where(eq(providers.id, cheap.providerId));
  expect(row).toMatchObject({ pricePerGpuHourMicros: 100_000n, spotPercent: 100, session: cheap.session });
});
