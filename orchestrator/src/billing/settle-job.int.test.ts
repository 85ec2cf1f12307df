import { createDb } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { createTestDatabase } from '@computefabric/db/testing';
import type { JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { newId } from '@computefabric/protocol/ids';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { InvariantError } from '@computefabric/runtime/invariant';
import { silentLogger } from '@computefabric/runtime/log';
import { eq } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { postgresFault } from '../background/postgres-error.ts';
import { startSignals } from '../background/signals.ts';
import { endJob } from '../jobs/end-job.ts';
import { submitJob } from '../jobs/submit-job.ts';
import { auditLedger } from '../ledger/audit.store.ts';
import { balanceMicros } from '../ledger/chart.ts';
import { grantPlayMoney } from '../ledger/grant-play-money.ts';
import { marketFixture } from '../testing/market-fixture.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { settleJob } from './settle-job.ts';
import { startSettleWorker } from './settle-job.worker.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let renter: UserId;
const owners: { userId: UserId; providerId: ProviderId }[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 20 });
  const market = marketFixture(connection.db);
  renter = await market.addUser();
  for (let n = 0; n < 2; n += 1) {
    const userId = await market.addUser();
    owners.push({ userId, providerId: await market.addMachine(userId) });
  }
  await connection.db.transaction((tx) => grantPlayMoney(tx, renter, 1_000_000_000n));
});
afterAll(async () => {
  await connection.close();
  await database.close();
});

/** A job with a hold of 1 USD. */
const submit = () =>
  connection.db.transaction(async (tx) => {
    const spec = jobSpec.parse({ image: 'busybox' });
    return (await submitJob(tx, { userId: renter, spec, defaultMaxPricePerHourMicros: 1_000_000n })).id;
  });

/** An ended try with its frozen bill. */
async function addTry(
  jobId: JobId,
  attempt: number,
  machine: number,
  cost: bigint,
  earned: bigint,
): Promise<void> {
  await connection.db.insert(leases).values({
    id: newId('lease'),
    jobId,
    providerId: owners[machine]?.providerId ?? 'prov_',
    attempt,
    state: 'released',
    pricePerHourMicros: 1n,
    gpuIds: [],
    cpuMilli: 100,
    memoryMib: 16,
    expiresAt: new Date(),
    costMicros: cost,
    earnedMicros: earned,
  });
}

const end = (jobId: JobId) =>
  connection.db.transaction((tx) => endJob(tx, { jobId, reason: 'exited-zero', exitCode: 0 }));

const balances = async () => ({
  available: await balanceMicros(connection.db, 'renter_available', renter),
  held: await balanceMicros(connection.db, 'renter_held', renter),
  earned: await Promise.all(
    owners.map(({ userId }) => balanceMicros(connection.db, 'provider_held_back', userId)),
  ),
});

const paymentOf = async (jobId: JobId) => {
  const [row] = await connection.db.select().from(payments).where(eq(payments.jobId, jobId));
  return row;
};

test('owners and market are paid out of the hold, the rest comes back, whoever tries to settle and how often', async () => {
  const before = await balances();
  const jobId = await submit();
  await addTry(jobId, 1, 0, 0n, 0n);
  await addTry(jobId, 2, 0, 1_000n, 900n);
  await addTry(jobId, 3, 1, 500n, 500n);
  expect(await settleJob(connection.db, jobId)).toBe(false); // it has not ended
  await end(jobId);
  const settled = await Promise.all(Array.from({ length: 10 }, () => settleJob(connection.db, jobId)));
  expect(settled.filter(Boolean)).toHaveLength(1);
  expect(await settleJob(connection.db, jobId)).toBe(false);
  expect(await balances()).toEqual({
    available: before.available - 1_500n,
    held: before.held,
    earned: [(before.earned[0] ?? 0n) + 900n, (before.earned[1] ?? 0n) + 500n],
  });
  expect(await paymentOf(jobId)).toMatchObject({ state: 'succeeded', amountMicros: 1_500n });
  for (const change of [
    { state: 'pending' as const, settledAt: null },
    { amountMicros: 1n },
    { holdMicros: 9_999n },
  ]) {
    const thrown = await connection.db
      .update(payments)
      .set(change)
      .where(eq(payments.jobId, jobId))
      .catch((error: unknown) => error);
    expect(postgresFault(thrown)?.constraint).toBe('payments_settled_once');
  }
  expect(await auditLedger(connection.db)).toEqual([]);
});

test('a job without a billable try costs nothing', async () => {
  const before = await balances();
  const jobId = await submit();
  await end(jobId);
  expect(await settleJob(connection.db, jobId)).toBe(true);
  expect(await balances()).toEqual(before);
  expect(await paymentOf(jobId)).toMatchObject({ state: 'succeeded', amountMicros: 0n });
});

test('a bill above the hold is never paid: it stays unsettled, loudly', async () => {
  const jobId = await submit();
  await addTry(jobId, 1, 0, 1_000_001n, 1_000_001n);
  await end(jobId);
  await expect(settleJob(connection.db, jobId)).rejects.toThrow(InvariantError);
  expect(await paymentOf(jobId)).toMatchObject({ state: 'pending' });
  // Nor does it keep others from being settled, though they are settled together.
  const others = await Promise.all(Array.from({ length: 5 }, submit));
  await Promise.all(others.map(end));
  const signals = await startSignals(database.url, silentLogger);
  const worker = startSettleWorker({ db: connection.db, log: silentLogger, signals });
  try {
    await waitUntil('the others are settled', async () => {
      const found = await Promise.all(others.map(paymentOf));
      return found.every((payment) => payment?.state === 'succeeded');
    });
  } finally {
    await worker.close();
    await signals.close();
  }
  expect(await paymentOf(jobId)).toMatchObject({ state: 'pending' });
  await connection.db.update(leases).set({ costMicros: 1n, earnedMicros: 1n }).where(eq(leases.jobId, jobId));
  expect(await settleJob(connection.db, jobId)).toBe(true);
});

test('two workers settle what ends, each job once, on the signal and what ended before they started', async () => {
  const early = await Promise.all(Array.from({ length: 10 }, submit));
  for (const jobId of early) {
    await addTry(jobId, 1, 0, 7n, 7n);
    await end(jobId);
  }
  const before = await balances();
  const parts = await Promise.all(
    [1, 2].map(async () => {
      const signals = await startSignals(database.url, silentLogger);
      return { signals, worker: startSettleWorker({ db: connection.db, log: silentLogger, signals }) };
    }),
  );
  try {
    const late = await Promise.all(Array.from({ length: 10 }, submit));
    for (const jobId of late) await addTry(jobId, 1, 1, 3n, 3n);
    await Promise.all(late.map(end));
    await waitUntil(
      'all is settled',
      async () => {
        const pending = await connection.db.select().from(payments).where(eq(payments.state, 'pending'));
        return pending.length === 0;
      },
      5_000, // well before the workers' own sweep
    );
  } finally {
    for (const { signals, worker } of parts) {
      await worker.close();
      await signals.close();
    }
  }
  const after = await balances();
  expect(after.earned).toEqual([(before.earned[0] ?? 0n) + 70n, (before.earned[1] ?? 0n) + 30n]);
  expect(await auditLedger(connection.db)).toEqual([]);
});

test('any history of submits, tries, ends and settlings keeps the books right and ends with nothing held', async () => {
  const bill = fc.record({
    machine: fc.nat(1),
    cost: fc.bigInt({ min: 0n, max: 250_000n }),
    fee: fc.nat(10_000),
  });
  const history = fc.array(
    fc.record({ bills: fc.array(bill, { maxLength: 4 }), settleEarly: fc.boolean() }),
    {
      minLength: 1,
      maxLength: 6,
    },
  );
  await fc.assert(
    fc.asyncProperty(history, async (wanted) => {
      const before = await balances();
      const ids = await Promise.all(
        wanted.map(async ({ bills, settleEarly }) => {
          const jobId = await submit();
          for (const [index, { machine, cost, fee }] of bills.entries()) {
            await addTry(jobId, index + 1, machine, cost, cost - (cost * BigInt(fee)) / 10_000n);
          }
          if (settleEarly) await settleJob(connection.db, jobId);
          await end(jobId);
          return jobId;
        }),
      );
      await Promise.all([...ids, ...ids.toReversed()].map((jobId) => settleJob(connection.db, jobId)));
      expect(await auditLedger(connection.db)).toEqual([]);
      const cost = wanted.flatMap(({ bills }) => bills).reduce((sum, one) => sum + one.cost, 0n);
      const after = await balances();
      expect(after.available).toBe(before.available - cost);
      expect(after.held).toBe(0n);
      const rows = await connection.db.select({ state: jobs.state }).from(jobs);
      expect(rows.every(({ state }) => state === 'succeeded')).toBe(true);
    }),
    { numRuns: 25 },
  );
}, 60_000);
