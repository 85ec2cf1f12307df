import { createDb } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import { createTestDatabase } from '@computefabric/db/testing';
import { newId, type ProviderId, type UserId } from '@computefabric/protocol/ids';
import { desc, eq, sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { explain } from '../matching/explain.ts';
import { needsWith } from '../matching/machine-view.ts';
import { loadMachines } from '../matching/market.store.ts';
import { marketFixture, testCards } from '../testing/market-fixture.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { expireLease } from './expire-leases.worker.ts';
import { grantLeases } from './grant-leases.ts';
import { MarketMatcher } from './market-matcher.ts';
import { acceptLease, rejectLease } from './report-lease.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let market: ReturnType<typeof marketFixture>;
let matcher: MarketMatcher;
let renter: UserId;
let machine: ProviderId;

// A market of its own for each: a matcher looks at all of it.
beforeEach(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 10 });
  market = marketFixture(connection.db);
  renter = await market.addUser();
  machine = await market.addMachine(await market.addUser(), { gpus: testCards(2) });
  matcher = new MarketMatcher(market.deps);
});
afterEach(async () => {
  await connection.close();
  await database.close();
});

async function restSeconds(): Promise<number> {
  const [row] = await connection.db
    .select({
      seconds: sql<number>`coalesce(extract(epoch from ${providers.restsUntil} - now()), 0)::float8`,
    })
    .from(providers)
    .where(eq(providers.id, machine));
  return row?.seconds ?? Number.NaN;
}

/** As if the rest of that length were over already. */
async function sleepOver(): Promise<void> {
  await connection.db.update(providers).set({ restsUntil: sql`now() - interval '1 ms'` });
}

async function offered() {
  const [row] = await connection.db.select().from(leases).orderBy(desc(leases.fence)).limit(1);
  if (row?.state !== 'offered') throw new Error(`the last try is ${row?.state}`);
  return { leaseId: row.id, providerId: row.providerId, fence: row.fence };
}

/** A new job, offered to the machine and declined by it. */
async function decline(): Promise<void> {
  matcher.noteChange(await market.addJob(renter));
  matcher.noteChange(machine);
  expect((await matcher.pass()).granted).toBe(1);
  await rejectLease(market.deps, await offered(), 'not enough CPU cores are free');
}

test('a machine that declined is offered nothing for a moment, and then again without anybody telling the matcher', async () => {
  await decline();
  matcher.noteChange(machine);
  const job = await market.addJob(renter);
  matcher.noteChange(job);
  const pass = await matcher.pass();
  expect(pass.granted).toBe(0);
  // The matcher itself says when it is to be called again.
  expect(pass.nextMs).toBeGreaterThan(0);
  expect(pass.nextMs).toBeLessThanOrEqual(1_000);
  await waitUntil('the machine is offered something again', async () => (await matcher.pass()).granted > 0);
  expect((await market.jobRow(job)).state).toBe('preparing');
});

test('the rest doubles with each offer in a row that is not taken, up to half a minute, and one that is taken ends the row', async () => {
  for (const [least, most] of [
    [0.5, 1],
    [1, 2],
    [2, 4],
    [4, 8],
    [8, 16],
    [15, 30],
    [15, 30],
    [15, 30],
  ] as const) {
    await decline();
    const seconds = await restSeconds();
    // Some of it has passed already.
    expect(seconds).toBeGreaterThan(least - 0.4);
    expect(seconds).toBeLessThanOrEqual(most);
    await sleepOver();
  }
  matcher.noteChange(await market.addJob(renter));
  matcher.noteChange(machine);
  await matcher.pass();
  await acceptLease(market.deps, await offered());
  await decline();
  expect(await restSeconds()).toBeLessThanOrEqual(1);
});

test('a machine that did not answer an offer rests, too', async () => {
  const job = await market.addJob(renter);
  await matcher.pass();
  const { leaseId } = await offered();
  await market.ageLease(leaseId, 60);
  await expireLease(market.deps, job, leaseId);
  expect(await restSeconds()).toBeGreaterThan(0);
});

test('a grant on a view from before the decline is refused', async () => {
  const [view] = await loadMachines(connection.db);
  const gpuIds = view?.gpus.slice(0, 1).map(({ id }) => id) ?? [];
  await decline();
  const needs = needsWith({ gpus: 1, maxPricePerHourMicros: 1_000_000n });
  const jobId = await market.addJob(renter);
  const set = [{ jobId, leaseId: newId('lease'), providerId: machine, gpuIds, needs }];
  expect(await grantLeases(connection.db, market.deps.settings, [set])).toEqual(['stale']);
  await sleepOver();
  expect(await grantLeases(connection.db, market.deps.settings, [set])).toEqual(['granted']);
});

test('a job that waits for such a machine is told so, and for how long', async () => {
  await decline();
  const job = await market.jobRow(await market.addJob(renter));
  const waiting = explain(job, await loadMachines(connection.db), {
    position: 1,
    now: new Date(),
    ahead: [],
  });
  expect(waiting.summary).toBe('A machine that fits has just not taken an offer, and is asked again in 1 s.');
  expect(waiting.filters).toMatchObject([
    {
      filter: 'resting',
      excluded: 1,
      sole: 1,
      sentence: '1 machine: resting for a moment after an offer that was not taken',
    },
  ]);
  expect(waiting.suggestion).toBeNull();
  expect(waiting.expected_start).not.toBeNull();
});
