import { createDb, type Db } from '@computefabric/db/client';
import { budgets } from '@computefabric/db/schema/budgets';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { createTestDatabase } from '@computefabric/db/testing';
import { type JobId, newId, type UserId } from '@computefabric/protocol/ids';
import { type JobSpecInput, jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { and, eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chargeBudgets } from '../accounts/budget.store.ts';
import { isPassingFault } from '../background/postgres-error.ts';
import { endJob } from '../jobs/end-job.ts';
import { submitJob } from '../jobs/submit-job.ts';
import { MarketMatcher } from '../leases/market-matcher.ts';
import { acceptLease, exitLease, reportEnd, startLease } from '../leases/report-lease.ts';
import { stopAtCap } from '../leases/stop-at-cap.worker.ts';
import { auditLedger } from '../ledger/audit.store.ts';
import { balanceMicros } from '../ledger/chart.ts';
import { grantPlayMoney } from '../ledger/grant-play-money.ts';
import { placeHold } from '../ledger/place-hold.ts';
import { costMicros } from '../pricing/price.ts';
import { marketFixture } from '../testing/market-fixture.ts';
import { removeBudget, setBudget, viewBudgets } from './budgets.store.ts';
import { changeJobLimit } from './change-job-limit.ts';
import { settleJob } from './settle-job.ts';
import { watchBudgets } from './watch-budgets.worker.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let db: Db;
let market: ReturnType<typeof marketFixture>;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 20 });
  db = connection.db;
  // Long terms: on a busy machine a test is not about offers that ran out.
  market = marketFixture(db, { platformFeeBps: 250, offerSeconds: 3_600, leaseTtlSeconds: 3_600 });
});
afterAll(async () => {
  await connection.close();
  await database.close();
});

async function renterWith(micros: bigint): Promise<UserId> {
  const renter = await market.addUser();
  await db.transaction((tx) => grantPlayMoney(tx, renter, micros));
  return renter;
}

const submit = (userId: UserId, spec: Partial<JobSpecInput> = {}) =>
  patiently(() =>
    db.transaction(async (tx) => {
      const parsed = jobSpec.parse({ image: 'busybox', ...spec });
      return (await submitJob(tx, { userId, spec: parsed, defaultMaxPricePerHourMicros: 1_000_000n })).id;
    }),
  );

/** As a client does: again after a fault that passes, such as no free connection for a while. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (thrown) {
      if (tries === 20 || !isPassingFault(thrown)) throw thrown;
    }
  }
}

/** A large machine at this price per core-hour, in a region of its own test. */
const addMachine = async (region: string, micros: bigint) =>
  await market.addMachine(await market.addUser(), {
    region,
    cpus: 512,
    memory_mib: 1_000_000,
    disk_free_mib: 10_000_000,
    price_per_cpu_hour_micros: String(micros),
  });

/** Until everything that can be granted is. */
async function matchAll(): Promise<void> {
  const matcher = new MarketMatcher(market.deps);
  while ((await matcher.pass()).granted > 0);
}

async function run(jobId: JobId): Promise<void> {
  const claim = await market.claimOf(jobId);
  await acceptLease(market.deps, claim);
  await startLease(market.deps, claim, null);
}

/** Time passes for a try that runs. */
const pass = async (jobId: JobId, ms: number) => {
  const earlier = sql.raw(`interval '${Math.round(ms)} milliseconds'`);
  await db
    .update(leases)
    .set({
      startedAt: sql`${leases.startedAt} - ${earlier}`,
      moneyStopAt: sql`${leases.moneyStopAt} - ${earlier}`,
    })
    .where(and(eq(leases.jobId, jobId), eq(leases.state, 'active')));
};

/** The program ends as one that was asked to stop. */
async function stop(jobId: JobId): Promise<void> {
  const claim = await market.claimOf(jobId);
  await exitLease(market.deps, claim, 143);
  await reportEnd(market.deps, claim, { reason: 'cancelled', detail: null, exit_code: 143, log_chunks: 0 });
  await settleJob(db, jobId);
}

async function stopAllDue(): Promise<void> {
  while ((await stopAtCap(market.deps)) > 0);
}

const paymentOf = async (jobId: JobId) => {
  const [row] = await db.select().from(payments).where(eq(payments.jobId, jobId));
  invariant(row, 'a job has a payment');
  return row;
};

async function eachOf<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const waiting = [...items.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

/** The goal is 1,000; each takes a dozen transactions. */
const jobsAtTheirLimit = Number(process.env.MONEY_LIMIT_JOBS ?? 150);

/** The goal is 100. */
const reservationRounds = Number(process.env.RESERVATION_ROUNDS ?? 5);

describe('a limit of a job', () => {
  test('of many jobs that were stopped by it none costs a micro more, however late their machines are', async () => {
    const renter = await renterWith(10n ** 12n);
    for (const price of [36_000n, 777_777n, 3_599_999n, 10_000_001n]) await addMachine('many', price);
    const random = (most: number, seed: number) => (Math.abs(Math.sin(seed * 99.7)) * 1e6) % most;
    const caps = new Map<JobId, { cap: bigint; graceMs: number }>();
    const numbers = Array.from({ length: jobsAtTheirLimit }, (_, n) => n);
    await eachOf(numbers, async (n) => {
      const cap = BigInt(1 + Math.floor(random(50_000, n)));
      const grace = Math.floor(random(20, n + 0.5));
      const jobId = await submit(renter, {
        max_cost_micros: String(cap),
        max_price_per_hour_micros: '20000000',
        time_limit_seconds: 86_400, // the money is used up first
        stop_grace_seconds: grace,
        on_limit: n % 3 === 0 ? 'stop' : 'checkpoint',
        requirements: { memory_mib: 16, disk_mib: 0, regions: ['many'] },
      });
      expect((await paymentOf(jobId)).holdMicros).toBe(cap);
      caps.set(jobId, { cap, graceMs: n % 3 === 0 ? 0 : grace * 1_000 });
    });
    await matchAll();
    await eachOf([...caps.keys()], run);
    // A minute before their grace time would no longer be paid for, as far as they run that long.
    await eachOf([...caps], async ([jobId, { cap, graceMs }]) => {
      const { pricePerHourMicros } = await market.lastLease(jobId);
      const lasts = (Number(cap) * 3_600_000) / Number(pricePerHourMicros);
      await pass(jobId, Math.max(lasts - graceMs - 60_000, 0));
    });
    await stopAllDue();
    // Nobody is stopped too early: what ran and the grace time use the limit up.
    const { rows: stopped } = await db.execute<{ job_id: JobId; ran: number; price: string }>(
      sql`select job_id, (extract(epoch from now() - started_at) * 1000)::float8 as ran, price_per_hour_micros as price
        from leases where desired = 'stop'`,
    );
    for (const { job_id: jobId, ran, price } of stopped) {
      const { cap, graceMs } = caps.get(jobId) ?? { cap: 0n, graceMs: 0 };
      expect(ran + graceMs).toBeGreaterThan((Number(cap) * 3_600_000) / Number(price) - 100);
    }
    // Then time passes, the grace time too, to a moment up to a minute too late.
    await eachOf([...caps], async ([jobId, { graceMs }], n) => {
      await pass(jobId, 60_000 + graceMs + random(60_000, n));
    });
    await stopAllDue();
    await eachOf([...caps.keys()], async (jobId, n) => {
      await pass(jobId, random(60_000, n + 0.25));
      const lease = await market.lastLease(jobId);
      expect([lease.desired, lease.stopReason]).toEqual(['stop', 'funds-exhausted']);
      await stop(jobId);
    });
    let overshoot = 0n;
    for (const [jobId, { cap }] of caps) {
      const { amountMicros, state } = await paymentOf(jobId);
      const lease = await market.lastLease(jobId);
      expect([state, lease.endReason]).toEqual(['succeeded', 'funds-exhausted']);
      expect(lease.costMicros).toBe(costMicros(lease.billedMs, lease.pricePerHourMicros));
      expect(amountMicros).toBe(lease.costMicros);
      if (amountMicros > cap) overshoot += amountMicros - cap;
      // Not a millisecond that the limit pays for is given away either.
      expect(costMicros(lease.billedMs + 1, lease.pricePerHourMicros)).toBeGreaterThanOrEqual(
        cap - costMicros(1, lease.pricePerHourMicros) - 1n,
      );
    }
    expect(overshoot).toBe(0n);
    expect(await auditLedger(db)).toEqual([]);
  }, 1_200_000);

  test('is for all tries together: what earlier ones were billed is off it', async () => {
    await addMachine('tries', 3_600_000n); // a micro per millisecond
    const renter = await renterWith(10_000_000n);
    const jobId = await submit(renter, {
      max_cost_micros: '10000',
      max_price_per_hour_micros: '3600000',
      retries: { max: 3 },
      stop_grace_seconds: 0,
      requirements: { regions: ['tries'] },
    });
    await matchAll();
    await run(jobId);
    await pass(jobId, 6_000);
    const first = await market.claimOf(jobId);
    await exitLease(market.deps, first, 1);
    await reportEnd(market.deps, first, {
      reason: 'exited-nonzero',
      detail: null,
      exit_code: 1,
      log_chunks: 0,
    });
    const { costMicros: spent } = await market.lastLease(jobId);
    await market.endBackoff(jobId);
    await matchAll();
    await run(jobId);
    await pass(jobId, 30_000);
    await stopAllDue();
    await stop(jobId);
    const second = await market.lastLease(jobId);
    expect(second.endReason).toBe('funds-exhausted');
    expect(spent + second.costMicros).toBeLessThanOrEqual(10_000n);
    expect((await paymentOf(jobId)).amountMicros).toBe(spent + second.costMicros);
  });

  test('that is raised reserves more and lets the program go on; one that is too low is refused', async () => {
    await addMachine('raised', 3_600_000n);
    const renter = await renterWith(1_000_000n);
    const jobId = await submit(renter, {
      max_cost_micros: '60000',
      max_price_per_hour_micros: '3600000',
      stop_grace_seconds: 0,
      requirements: { regions: ['raised'] },
    });
    await matchAll();
    await run(jobId);
    await pass(jobId, 50_000);
    const change = (micros: bigint) =>
      db.transaction((tx) => changeJobLimit(tx, { userId: renter, jobId, limit: { maxCostMicros: micros } }));
    await expect(change(40_000n)).rejects.toMatchObject({ code: 'request/invalid' });
    await expect(change(2_000_000n)).rejects.toMatchObject({ code: 'ledger/insufficient-funds' });
    await change(500_000n);
    await change(500_000n); // a repeat changes nothing
    expect((await paymentOf(jobId)).holdMicros).toBe(500_000n);
    expect(await balanceMicros(db, 'renter_held', renter)).toBe(500_000n);
    await pass(jobId, 50_000);
    await stopAllDue();
    expect((await market.lastLease(jobId)).desired).toBe('run');
    await pass(jobId, 500_000);
    await stopAllDue();
    await expect(change(900_000n)).rejects.toMatchObject({ code: 'job/already-final' });
    await stop(jobId);
    expect((await paymentOf(jobId)).amountMicros).toBe(500_000n);
    expect(await auditLedger(db)).toEqual([]);
  });
});

describe('a budget', () => {
  const account = (
    userId: UserId,
    amountMicros: bigint,
    onLimit: 'stop-new' | 'also-stop-running' = 'stop-new',
  ) =>
    db.transaction((tx) => setBudget(tx, { userId, apiKeyId: null, period: 'month', amountMicros, onLimit }));

  test('is never passed: of 500 submits at once against one that covers 100 exactly 100 are accepted', async () => {
    const renter = await renterWith(10n ** 12n);
    await account(renter, 100n * 1_000_000n);
    const outcomes = await Promise.allSettled(Array.from({ length: 500 }, () => submit(renter)));
    const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(refused).toHaveLength(400);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'budget/exceeded' });
    const [row] = await db.select().from(budgets).where(eq(budgets.userId, renter));
    expect(row?.reservedMicros).toBe(100_000_000n);
  }, 120_000);

  test('is never passed by 200 reservations at once, again and again', async () => {
    for (let repetition = 0; repetition < reservationRounds; repetition += 1) {
      const renter = await renterWith(1_000_000n);
      const covered = 1 + ((9 * repetition) % 190);
      const id = await account(renter, BigInt(covered) * 1_000n + 999n);
      const reserve = () =>
        patiently(() =>
          db.transaction(async (tx) => {
            await placeHold(tx, { jobId: newId('job'), userId: renter, amountMicros: 1_000n });
            await chargeBudgets(tx, { userId: renter, apiKeyId: null }, 1_000n);
          }),
        );
      const outcomes = await Promise.allSettled(Array.from({ length: 200 }, reserve));
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(covered);
      const [row] = await db.select().from(budgets).where(eq(budgets.id, id));
      expect(row?.reservedMicros).toBe(BigInt(covered) * 1_000n);
      expect(await balanceMicros(db, 'renter_held', renter)).toBe(BigInt(covered) * 1_000n);
    }
  }, 300_000);

  test('counts what was there before it was made, and what settles returns what was reserved', async () => {
    const renter = await renterWith(10_000_000n);
    const [first, second] = [await submit(renter), await submit(renter)];
    await account(renter, 2_500_000n);
    await expect(submit(renter)).rejects.toBeInstanceOf(AppError);
    await db.transaction((tx) => endJob(tx, { jobId: first, reason: 'exited-zero', exitCode: 0 }));
    await settleJob(db, first);
    const { items } = await viewBudgets(db, renter);
    expect(items[0]).toMatchObject({ reserved_micros: '1000000', used_micros: '0', left_micros: '1500000' });
    await submit(renter);
    await expect(submit(renter)).rejects.toMatchObject({ code: 'budget/exceeded' });
    expect(second).not.toBe(first);
  });

  test('warns once at 50, 80 and 100 per cent; at its end queued jobs wait, running ones stop, and a raise frees them', async () => {
    await addMachine('warned', 3_600_000n);
    const renter = await renterWith(10n ** 9n);
    const requirements = { regions: ['warned'] };
    const spec = { max_price_per_hour_micros: '3600000', time_limit_seconds: 1_000, requirements };
    const running = await submit(renter, spec);
    await matchAll();
    await run(running);
    const queued = await submit(renter, { ...spec, requirements: { regions: ['nowhere'] } });
    const budget = await account(renter, 100_000n, 'also-stop-running'); // lower than what is reserved
    const told = async () =>
      (await viewBudgets(db, renter)).events.map(({ type, percent }) => [type, percent]);
    await watchBudgets(db);
    expect(await told()).toEqual([]);
    await pass(running, 55_000);
    await watchBudgets(db);
    await watchBudgets(db);
    expect(await told()).toMatchObject([['warning', expect.any(Number)]]);
    await pass(running, 30_000);
    await watchBudgets(db);
    expect((await told()).map(([type]) => type)).toEqual(['warning', 'warning']);
    expect((await market.lastLease(running)).desired).toBe('run');
    await pass(running, 20_000);
    await watchBudgets(db);
    expect((await told()).map(([type]) => type)).toEqual(['exhausted', 'warning', 'warning', 'warning']);
    expect((await market.lastLease(running)).stopReason).toBe('funds-exhausted');
    expect((await market.jobRow(queued)).state).toBe('blocked');
    await expect(submit(renter, { ...spec, max_cost_micros: '1' })).rejects.toMatchObject({
      code: 'budget/exceeded',
    });
    await account(renter, 10n ** 9n, 'also-stop-running');
    await watchBudgets(db);
    expect((await market.jobRow(queued)).state).toBe('queued');
    await db.transaction((tx) => removeBudget(tx, renter, budget));
    await submit(renter, spec);
  });

  test('of a key bounds that key alone, and a new month begins with nothing spent', async () => {
    const renter = await renterWith(10n ** 9n);
    const apiKeyId = newId('apiKey');
    await db.execute(
      sql`insert into api_keys (id, user_id, kind, name, secret_hash) values (${apiKeyId}, ${renter}, 'user', 'ci', 'x')`,
    );
    await db.transaction((tx) =>
      setBudget(tx, {
        userId: renter,
        apiKeyId,
        period: 'month',
        amountMicros: 1_500_000n,
        onLimit: 'stop-new',
      }),
    );
    const withKey = (key: typeof apiKeyId | null) =>
      db.transaction((tx) =>
        submitJob(tx, {
          userId: renter,
          apiKeyId: key,
          spec: jobSpec.parse({ image: 'busybox' }),
          defaultMaxPricePerHourMicros: 1_000_000n,
        }),
      );
    const { id } = await withKey(apiKeyId);
    await expect(withKey(apiKeyId)).rejects.toMatchObject({ code: 'budget/exceeded' });
    await withKey(null);
    await db.transaction((tx) => endJob(tx, { jobId: id, reason: 'exited-zero', exitCode: 0 }));
    await settleJob(db, id);
    await db
      .update(budgets)
      .set({ spentMicros: 1_500_000n, periodStart: sql`now() - interval '40 days'` })
      .where(eq(budgets.apiKeyId, apiKeyId));
    await withKey(apiKeyId); // what was spent was spent in another month
  });
});

test('of 500 submits at once against a balance that covers 100 exactly 100 are accepted', async () => {
  const renter = await renterWith(100n * 1_000_000n + 999_999n);
  const outcomes = await Promise.allSettled(Array.from({ length: 500 }, () => submit(renter)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(100);
  for (const one of outcomes) {
    if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'ledger/insufficient-funds' });
  }
  expect(await balanceMicros(db, 'renter_available', renter)).toBe(999_999n);
  expect(await balanceMicros(db, 'renter_held', renter)).toBe(100_000_000n);
}, 120_000);
