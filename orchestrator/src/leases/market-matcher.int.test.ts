import { createDb } from '@computefabric/db/client';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import { listen } from '@computefabric/db/listen';
import { createTestDatabase } from '@computefabric/db/testing';
import { newId, type ProviderId, type UserId } from '@computefabric/protocol/ids';
import { eq, inArray } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadGangSpoilers, loadMachines } from '../matching/market.store.ts';
import { markSilentProvidersOffline } from '../providers/provider.store.ts';
import { marketFixture, testCards } from '../testing/market-fixture.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { MarketMatcher } from './market-matcher.ts';
import { reportEnd, releaseClaimedLease, acceptLease, startLease, exitLease } from './report-lease.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let market: ReturnType<typeof marketFixture>;
let renter: UserId;
let machine: ProviderId;

// A market of its own for each: a matcher looks at all of it.
beforeEach(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 10 });
  market = marketFixture(connection.db);
  renter = await market.addUser();
  machine = await market.addMachine(await market.addUser(), { gpus: testCards(2) });
});
afterEach(async () => {
  await connection.close();
  await database.close();
});

const stateOf = async (...ids: Parameters<typeof market.jobRow>[0][]) => {
  const rows = await connection.db.select().from(jobs).where(inArray(jobs.id, ids));
  return ids.map((id) => rows.find((row) => row.id === id)?.state);
};

test('a job that comes later is placed once its line of the feed has been read, and not before', async () => {
  const matcher = new MarketMatcher(market.deps);
  await matcher.pass();
  const job = await market.addJob(renter);
  expect((await matcher.pass()).granted).toBe(0);
  matcher.noteChange(job);
  expect((await matcher.pass()).granted).toBe(1);
  expect(await stateOf(job)).toEqual(['preparing']);
});

test('what a machine gives back is used again once its line has been read', async () => {
  const matcher = new MarketMatcher(market.deps);
  const big = await market.addJob(renter, { gpus: 2 });
  await matcher.pass();
  const waiting = await market.addJob(renter, { gpus: 2 });
  matcher.noteChange(waiting);
  expect((await matcher.pass()).granted).toBe(0);
  const claim = await market.claimOf(big);
  await acceptLease(market.deps, claim);
  await startLease(market.deps, claim, null);
  await exitLease(market.deps, claim, 0);
  await reportEnd(market.deps, claim, { reason: 'exited-zero', detail: null, exit_code: 0, log_chunks: 0 });
  await releaseClaimedLease(market.deps, claim);
  matcher.noteChange(machine);
  expect((await matcher.pass()).granted).toBe(1);
  expect(await stateOf(waiting)).toEqual(['preparing']);
});

test('a job that comes while others are being written is placed without waiting for them', async () => {
  const other = await market.addMachine(await market.addUser(), { gpus: testCards(1) });
  const matcher = new MarketMatcher(market.deps);
  await matcher.pass();
  const first = await market.addJob(renter, { gpus: 2 });
  let passed: Promise<unknown> = Promise.resolve();
  await connection.db.transaction(async (tx) => {
    // Somebody holds the machine of the first job, so its grant hangs.
    await tx.select().from(providers).where(eq(providers.id, machine)).for('update');
    matcher.noteChange(first);
    passed = matcher.pass();
    const late = await market.addJob(renter, { gpus: 1 });
    matcher.noteChange(late);
    await waitUntil('the later job is placed', async () => (await stateOf(late))[0] === 'preparing');
    expect(await stateOf(first)).toEqual(['queued']);
    expect((await market.claimOf(late)).providerId).toBe(other);
  });
  await passed;
  expect(await stateOf(first)).toEqual(['preparing']);
});

test('a proposal on an old view is refused, read again, and right the next time', async () => {
  const matcher = new MarketMatcher(market.deps);
  await matcher.pass();
  // Behind the matcher's back the machine gets dearer than the job allows.
  const job = await market.addJob(renter, { maxPricePerHourMicros: 400_000n });
  await market.sayHello(machine, { gpus: testCards(2), price_per_gpu_hour_micros: '500000' });
  matcher.noteChange(job);
  expect(await matcher.pass()).toMatchObject({ granted: 0, stale: 1 });
  expect(await stateOf(job)).toEqual(['queued']);
  expect(await matcher.pass()).toMatchObject({ granted: 0, stale: 0 });
  await market.sayHello(machine, { gpus: testCards(2) });
  matcher.noteChange(machine);
  expect((await matcher.pass()).granted).toBe(1);
});

test('a cancelled job is not offered, even when nobody told the matcher', async () => {
  const matcher = new MarketMatcher(market.deps);
  const job = await market.addJob(renter);
  await matcher.pass();
  const other = await market.addJob(renter);
  matcher.noteChange(other);
  await connection.db
    .update(jobs)
    .set({ state: 'cancelled', endReason: 'cancelled', finishedAt: new Date() })
    .where(eq(jobs.id, other));
  expect((await matcher.pass()).granted).toBe(0);
  expect(await stateOf(job, other)).toEqual(['preparing', 'cancelled']);
});

test('two matchers at once give nothing out twice', async () => {
  const more = await Promise.all(
    Array.from({ length: 5 }, async () => market.addMachine(await market.addUser(), { gpus: testCards(2) })),
  );
  const ids = await Promise.all(Array.from({ length: 30 }, () => market.addJob(renter)));
  const matchers = [new MarketMatcher(market.deps), new MarketMatcher(market.deps)];
  for (let round = 0; round < 4; round += 1) await Promise.all(matchers.map((each) => each.pass()));
  const rows = await connection.db.select().from(leases);
  const cards = rows.flatMap(({ gpuIds }) => gpuIds);
  expect(new Set(cards).size).toBe(cards.length);
  expect(new Set(rows.map(({ jobId }) => jobId)).size).toBe(rows.length);
  expect(rows).toHaveLength(2 * (more.length + 1));
  expect((await stateOf(...ids)).filter((state) => state === 'queued')).toHaveLength(30 - rows.length);
});

test('a gang is granted whole or not at all, also by the database', async () => {
  const groupId = newId('group');
  const spec = { spec: { image: 'busybox' }, machines: 2 };
  await connection.db
    .insert(jobGroups)
    .values({ id: groupId, userId: renter, name: 'gang', kind: 'gang', size: 2, spec });
  const ranks = [
    await market.addJob(renter, { groupId, groupIndex: 0, gpus: 2 }),
    await market.addJob(renter, { groupId, groupIndex: 1, gpus: 2 }),
  ];
  const matcher = new MarketMatcher(market.deps);
  expect((await matcher.pass()).granted).toBe(0);
  const second = await market.addMachine(await market.addUser(), { gpus: testCards(2) });
  // The matcher sees two free machines, one of which has been taken meanwhile.
  matcher.noteChange(second);
  const thief = await market.addJob(renter, { gpus: 2 });
  const other = new MarketMatcher(market.deps);
  await connection.db.update(jobs).set({ state: 'blocked' }).where(inArray(jobs.id, ranks));
  await other.pass();
  await connection.db.update(jobs).set({ state: 'queued' }).where(inArray(jobs.id, ranks));
  await matcher.pass();
  expect(await stateOf(...ranks)).toEqual(['queued', 'queued']);
  expect(await stateOf(thief)).toEqual(['preparing']);
  await market.addMachine(await market.addUser(), { gpus: testCards(2) });
  expect((await new MarketMatcher(market.deps).pass()).granted).toBe(2);
  expect(await stateOf(...ranks)).toEqual(['preparing', 'preparing']);
});

test('a gang goes on without the owner who spoiled one of its ranks, as long as others are in it', async () => {
  const groupId = newId('group');
  const spec = { spec: { image: 'busybox' }, machines: 2 };
  await connection.db
    .insert(jobGroups)
    .values({ id: groupId, userId: renter, name: 'pair', kind: 'gang', size: 2, spec });
  const ranks = [
    await market.addJob(renter, { groupId, groupIndex: 0, gpus: 2 }),
    await market.addJob(renter, { groupId, groupIndex: 1, gpus: 2 }),
  ];
  await market.addMachine(await market.addUser(), { gpus: testCards(2) });
  expect(await market.matchOnce()).toHaveLength(2);
  // The owner of rank 0's machine takes it back after the start; the other rank falls with it.
  for (const [index, rank] of ranks.entries()) {
    const claim = await market.claimOf(rank);
    await acceptLease(market.deps, claim);
    await startLease(market.deps, claim, null);
    const reason = index === 0 ? 'provider-left' : 'cancelled';
    const peerLost = { desired: 'stop', stopReason: 'peer-lost' } as const;
    if (index === 1) await connection.db.update(leases).set(peerLost).where(eq(leases.id, claim.leaseId));
    await exitLease(market.deps, claim, 143);
    await reportEnd(market.deps, claim, { reason, detail: null, exit_code: 143, log_chunks: 0 });
    await releaseClaimedLease(market.deps, claim);
    await market.endBackoff(rank);
  }
  expect(await stateOf(...ranks)).toEqual(['queued', 'queued']);
  const first = ranks[0];
  if (!first) throw new Error('two ranks');
  const [left] = await connection.db
    .select({ owner: providers.ownerId, id: providers.id })
    .from(leases)
    .innerJoin(providers, eq(providers.id, leases.providerId))
    .where(eq(leases.jobId, first));
  expect(await loadGangSpoilers(connection.db, groupId)).toEqual([left?.owner]);
  expect(await market.matchOnce()).toEqual([]);
  await market.addMachine(await market.addUser(), { gpus: testCards(2) });
  expect(await market.matchOnce()).toHaveLength(2);
  const now = await Promise.all(ranks.map(async (rank) => (await market.lastLease(rank)).providerId));
  expect(now).not.toContain(left?.id);
});

test('of a job that has moved, only the time that is left of its limit has to fit before an absence', async () => {
  const soon = new Date(Date.now() + 600_000);
  await connection.db.update(providers).set({ awayFrom: soon, awayUntil: new Date(soon.getTime() + 1e6) });
  const fresh = await market.addJob(renter, { timeLimitSeconds: 3_600 });
  expect(await market.matchOnce()).toEqual([]);
  const moved = await market.addJob(renter, { timeLimitSeconds: 3_600, usedMs: 3_300_000 });
  expect(await market.matchOnce()).toEqual(['granted']);
  expect(await stateOf(fresh, moved)).toEqual(['queued', 'preparing']);
  // Whoever waits for the machine is told by the same time.
  const [view] = await loadMachines(connection.db);
  expect(view?.running[0]?.endsInMs).toBeLessThanOrEqual(300_000);
});

test('a machine that falls silent is told to the matcher at once', async () => {
  const heard: string[] = [];
  const listener = await listen(database.url, ['cf_queue'], (_, payload) => void heard.push(payload), {
    onReconnect: () => undefined,
  });
  try {
    await markSilentProvidersOffline(connection.db, 3_600);
    await connection.db.update(providers).set({ lastSeenAt: new Date(0) });
    await markSilentProvidersOffline(connection.db, 3_600);
    await waitUntil('the feed has it', async () => heard.length > 0);
    expect(heard).toEqual([machine]);
  } finally {
    await listener.close();
  }
});

test('a write that fails while something else is being read is not passed over, and its job is placed by the next pass', async () => {
  await market.addMachine(await market.addUser(), { gpus: testCards(1) });
  const placed = [await market.addJob(renter, { gpus: 2 })];
  const { db } = connection;
  let failures = 0;
  const failing = new Proxy(db, {
    get(target, key) {
      if (key !== 'transaction' || failures > 0) return Reflect.get(target, key, target);
      return async () => {
        failures += 1;
        const later = await market.addJob(renter);
        placed.push(later);
        matcher.noteChange(later); // so that the pass reads this one instead of waiting for the write
        await new Promise((resolve) => setImmediate(resolve));
        throw new Error('the database went away');
      };
    },
  });
  const matcher = new MarketMatcher({ ...market.deps, db: failing });
  await expect(matcher.pass()).rejects.toThrow('the database went away');
  await matcher.pass();
  expect(await stateOf(...placed)).toEqual(['preparing', 'preparing']);
});

test('a spot job gives way to an on-demand job, which then gets the machine', async () => {
  const spots = [
    await market.addJob(renter, { class: 'spot' }),
    await market.addJob(renter, { class: 'spot' }),
  ];
  const matcher = new MarketMatcher(market.deps);
  await matcher.pass();
  const urgent = await market.addJob(await market.addUser());
  matcher.noteChange(urgent);
  // Only offered so far: taken back at once.
  expect((await matcher.pass()).preempted).toBe(1);
  expect((await matcher.pass()).granted).toBe(1);
  expect(await stateOf(urgent)).toEqual(['preparing']);
  expect(new Set(await stateOf(...spots))).toEqual(new Set(['preparing', 'queued']));
});
