import { createDb, type Db } from '@computefabric/db/client';
import { checkpointChunks } from '@computefabric/db/schema/checkpoint-chunks';
import { checkpoints } from '@computefabric/db/schema/checkpoints';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { storedObjects } from '@computefabric/db/schema/stored-objects';
import { createTestDatabase } from '@computefabric/db/testing';
import { type CheckpointId, type JobId, newId, type UserId } from '@computefabric/protocol/ids';
import { type JobSpecInput, jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { invariant } from '@computefabric/runtime/invariant';
import { and, eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dropOutlived } from '../checkpoints/checkpoint.store.ts';
import { endJob } from '../jobs/end-job.ts';
import { viewJob } from '../jobs/job-view.ts';
import { submitJob } from '../jobs/submit-job.ts';
import { MarketMatcher } from '../leases/market-matcher.ts';
import { acceptLease, exitLease, reportEnd, startLease } from '../leases/report-lease.ts';
import { stopAtCap } from '../leases/stop-at-cap.worker.ts';
import { auditLedger } from '../ledger/audit.store.ts';
import { balanceMicros } from '../ledger/chart.ts';
import { grantPlayMoney } from '../ledger/grant-play-money.ts';
import { marketFixture } from '../testing/market-fixture.ts';
import { removeBudget, setBudget } from './budgets.store.ts';
import { resumeJob } from './resume-job.ts';
import { settleJob } from './settle-job.ts';
import { watchBudgets } from './watch-budgets.worker.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let db: Db;
let market: ReturnType<typeof marketFixture>;
let renter: UserId;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 10 });
  db = connection.db;
  market = marketFixture(db, { offerSeconds: 3_600, leaseTtlSeconds: 3_600 });
  // A micro per millisecond.
  await market.addMachine(await market.addUser(), {
    cpus: 64,
    memory_mib: 1_000_000,
    disk_free_mib: 10_000_000,
    price_per_cpu_hour_micros: '3600000',
  });
  renter = await market.addUser();
  await db.transaction((tx) => grantPlayMoney(tx, renter, 10_000_000n));
});
afterAll(async () => {
  await connection.close();
  await database.close();
});

const submit = async (spec: Partial<JobSpecInput> = {}) =>
  await db.transaction(async (tx) => {
    const parsed = jobSpec.parse({
      image: 'busybox',
      max_price_per_hour_micros: '3600000',
      time_limit_seconds: 1_000,
      stop_grace_seconds: 0,
      ...spec,
    });
    return (await submitJob(tx, { userId: renter, spec: parsed, defaultMaxPricePerHourMicros: 1n })).id;
  });

async function run(jobId: JobId): Promise<void> {
  while ((await new MarketMatcher(market.deps).pass()).granted > 0);
  const claim = await market.claimOf(jobId);
  await acceptLease(market.deps, claim);
  await startLease(market.deps, claim, null);
}

/** So long after its start the machine hears that it must stop, and the program has ended. */
async function runOutOfMoney(jobId: JobId, ms: number): Promise<void> {
  const earlier = sql.raw(`interval '${ms} milliseconds'`);
  await db
    .update(leases)
    .set({ startedAt: sql`started_at - ${earlier}`, moneyStopAt: sql`money_stop_at - ${earlier}` })
    .where(and(eq(leases.jobId, jobId), eq(leases.state, 'active')));
  while ((await stopAtCap(market.deps)) > 0);
  await watchBudgets(db);
  const claim = await market.claimOf(jobId);
  await exitLease(market.deps, claim, 143);
  await reportEnd(market.deps, claim, { reason: 'cancelled', detail: null, exit_code: 143, log_chunks: 0 });
  await settleJob(db, jobId);
}

const resume = (jobId: JobId, maxCostMicros?: bigint | null, userId = renter) =>
  db.transaction((tx) => resumeJob(tx, { userId, apiKeyId: null, jobId, limit: { maxCostMicros } }));

/** A complete saved state of the job, of one chunk. */
async function addCheckpoint(jobId: JobId): Promise<CheckpointId> {
  const { id: leaseId } = await market.lastLease(jobId);
  const id = newId('checkpoint');
  const [manifest, chunk] = [`manifest-${id}`, `chunk-${id}`];
  for (const key of [manifest, chunk])
    await db.insert(storedObjects).values({ key, jobId, sha256: key, sizeBytes: 1, state: 'stored' });
  const done = {
    state: 'complete',
    completedAt: sql`now()`,
    manifestKey: manifest,
    manifestSha256: manifest,
  } as const;
  await db.insert(checkpoints).values({ id, jobId, leaseId, attempt: 1, ...done });
  await db.insert(checkpointChunks).values({ checkpointId: id, key: chunk });
  await db.update(jobs).set({ checkpointId: id }).where(eq(jobs.id, jobId));
  return id;
}

const settings = { playMoney: true, dashboardUrl: null };

test('a job that its limit stopped goes on from its saved state, within the raised limit to the micro', async () => {
  const first = await submit({ name: 'train', max_cost_micros: '60000' });
  await run(first);
  const saved = await addCheckpoint(first);
  await runOutOfMoney(first, 100_000);
  expect(await market.jobRow(first)).toMatchObject({ state: 'expired', endReason: 'funds-exhausted' });
  expect(await viewJob(db, settings, await market.jobRow(first))).toMatchObject({ resumable: true });
  await expect(resume(first)).rejects.toMatchObject({ code: 'request/invalid' });
  await expect(resume(first, 60_000n)).rejects.toMatchObject({ code: 'request/invalid' });

  const { id: second } = await resume(first, 150_000n);
  const job = await market.jobRow(second);
  expect(job).toMatchObject({
    name: 'train-r2',
    maxCostMicros: 90_000n,
    holdMicros: 90_000n,
    usedMs: 60_000,
  });
  expect(await viewJob(db, settings, await market.jobRow(first))).toMatchObject({
    resumable: false,
    resumed_by: { id: second, name: 'train-r2' },
  });
  expect(await viewJob(db, settings, job)).toMatchObject({ resumes: { id: first, name: 'train' } });
  // The state is the new job's own: what is removed with the old one's is only the old one's.
  expect(job.checkpointId).not.toBe(saved);
  expect(job.checkpointId).not.toBeNull();
  await db.update(jobs).set({ finishedAt: sql`now() - interval '1 year'` }).where(eq(jobs.id, first));
  await dropOutlived(db, 60);
  const kept = await db.select().from(checkpointChunks);
  expect(kept).toEqual([{ checkpointId: job.checkpointId, key: `chunk-${saved}` }]);

  await run(second);
  expect((await market.lastLease(second)).resumedFrom).toBe(job.checkpointId);
  await runOutOfMoney(second, 500_000);
  const { id: third } = await resume(second, 160_000n);
  expect(await market.jobRow(third)).toMatchObject({
    name: 'train-r3',
    holdMicros: 10_000n,
    usedMs: 150_000,
  });
  await run(third);
  await runOutOfMoney(third, 500_000);
  expect(await balanceMicros(db, 'renter_available', renter)).toBe(10_000_000n - 160_000n);
  expect(await balanceMicros(db, 'renter_held', renter)).toBe(0n);
  expect(await auditLedger(db)).toEqual([]);
});

test('a job goes on once, however many ask at the same moment', async () => {
  const jobId = await submit({ max_cost_micros: '1000' });
  await run(jobId);
  await runOutOfMoney(jobId, 5_000);
  const before = await balanceMicros(db, 'renter_held', renter);
  const asked = await Promise.allSettled(Array.from({ length: 20 }, () => resume(jobId, 2_000n)));
  const won = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value.id] : []));
  expect(won).toHaveLength(1);
  for (const one of asked) {
    if (one.status === 'rejected')
      expect(one.reason).toMatchObject({ code: 'job/already-resumed', details: { job_id: won[0] } });
  }
  expect(await balanceMicros(db, 'renter_held', renter)).toBe(before + 1_000n);
});

test('a job that a budget stopped goes on when there is room, and never past budget or balance', async () => {
  const budget = (amountMicros: bigint) =>
    db.transaction((tx) =>
      setBudget(tx, {
        userId: renter,
        apiKeyId: null,
        period: 'total',
        amountMicros,
        onLimit: 'also-stop-running',
      }),
    );
  const jobId = await submit();
  await run(jobId);
  await budget(50_000n);
  await runOutOfMoney(jobId, 60_000);
  expect((await market.jobRow(jobId)).endReason).toBe('funds-exhausted');
  await expect(resume(jobId)).rejects.toMatchObject({ code: 'budget/exceeded' });
  const id = await budget(2_000_000n);
  await watchBudgets(db);
  const { id: next } = await resume(jobId); // it had no limit of its own and needs none
  const row = await market.jobRow(next);
  expect(row.maxCostMicros).toBeNull();
  expect(row.holdMicros).toBeLessThan(1_000_000n - 50_000n); // what is left of its time
  await db.transaction((tx) => removeBudget(tx, renter, id));
});

test('what ended otherwise, has not ended, belongs to others or has no time left does not go on', async () => {
  const running = await submit({ max_cost_micros: '50000' });
  await expect(resume(running, 60_000n)).rejects.toMatchObject({ code: 'job/not-resumable' });
  await db.transaction((tx) => endJob(tx, { jobId: running, reason: 'cancelled' }));
  await expect(resume(running, 60_000n)).rejects.toMatchObject({ code: 'job/not-resumable' });

  const stopped = await submit({ max_cost_micros: '50000', time_limit_seconds: 60 });
  await run(stopped);
  await runOutOfMoney(stopped, 55_000);
  const other = await market.addUser();
  await expect(resume(stopped, 60_000n, other)).rejects.toMatchObject({ code: 'job/not-found' });
  await expect(resume(stopped, 10n ** 15n)).resolves.toMatchObject({ holdMicros: 10_000n }); // ten seconds
  const spent = await submit({ max_cost_micros: '50000', time_limit_seconds: 60 });
  await run(spent);
  await runOutOfMoney(spent, 55_000);
  await db.update(jobs).set({ usedMs: 10_000 }).where(eq(jobs.id, spent));
  await expect(resume(spent, null)).rejects.toMatchObject({ code: 'job/not-resumable' });
  const [row] = await db.select().from(jobs).where(eq(jobs.resumesId, spent));
  invariant(row === undefined, 'nothing is left of a refused call');
});
