import { createDb, type Db } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { createTestDatabase } from '@computefabric/db/testing';
import { endReasonRow, type ReportedEndReason } from '@computefabric/protocol/end-reason';
import type { JobId, UserId } from '@computefabric/protocol/ids';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { settleJob } from '../billing/settle-job.ts';
import { endJob } from '../jobs/end-job.ts';
import { submitJob } from '../jobs/submit-job.ts';
import { expireLease } from '../leases/expire-leases.worker.ts';
import { MarketMatcher } from '../leases/market-matcher.ts';
import { acceptLease, exitLease, reportEnd, startLease } from '../leases/report-lease.ts';
import { auditLedger } from '../ledger/audit.store.ts';
import { grantPlayMoney } from '../ledger/grant-play-money.ts';
import { seeded } from '../ledger/storm/model.ts';
import { costMicros } from '../pricing/price.ts';
import { marketFixture } from '../testing/market-fixture.ts';

/** The goal is 1,000; each takes a dozen transactions. */
const jobCount = Number(process.env.BILLING_TRUTH_JOBS ?? 120);

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let db: Db;
let market: ReturnType<typeof marketFixture>;
let renter: UserId;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 10 });
  db = connection.db;
  market = marketFixture(db, { offerSeconds: 3_600, leaseTtlSeconds: 3_600, platformFeeBps: 1_000 });
  renter = await market.addUser();
  await db.transaction((tx) => grantPlayMoney(tx, renter, 10n ** 15n));
  await market.addMachine(await market.addUser(), {
    cpus: 4_096,
    memory_mib: 10_000_000,
    disk_free_mib: 10_000_000,
    price_per_cpu_hour_micros: '3600000', // a micro for each millisecond
  });
});
afterAll(async () => {
  await connection.close();
  await database.close();
});

/** What a machine claims, beside what is so: a duration, ten times too long or too short, is in its words only. */
const claims = [
  'exited-zero',
  'exited-nonzero',
  'time-limit',
  'out-of-memory',
  'cancelled',
  'start-failed',
  'image-unavailable',
  'provider-error',
  'provider-left',
] as const satisfies readonly ReportedEndReason[];

/** The machine lets the orchestrator's clock pass between its reports. */
const pass = async (jobId: JobId, ms: number) => {
  const earlier = sql.raw(`interval '${Math.round(ms)} milliseconds'`);
  await db
    .update(leases)
    .set({ startedAt: sql`${leases.startedAt} - ${earlier}`, exitedAt: sql`${leases.exitedAt} - ${earlier}` })
    .where(eq(leases.jobId, jobId));
};

test('whatever machines claim, a bill is the orchestrator’s own measure, and nothing for what never ran or a machine spoiled', async () => {
  const random = seeded(29);
  const ids: JobId[] = [];
  for (let n = 0; n < jobCount; n += 1) {
    const spec = jobSpec.parse({
      image: 'busybox',
      max_price_per_hour_micros: '3600000',
      time_limit_seconds: 600,
      requirements: { memory_mib: 16, disk_mib: 0 },
    });
    const submit = { userId: renter, spec, defaultMaxPricePerHourMicros: 0n };
    ids.push(await db.transaction(async (tx) => (await submitJob(tx, submit)).id));
  }
  const matcher = new MarketMatcher(market.deps);
  while ((await matcher.pass()).granted > 0);
  let [billedTries, freeTries] = [0, 0];
  for (const jobId of ids) {
    const claim = await market.claimOf(jobId);
    await acceptLease(market.deps, claim);
    const starts = random() < 0.85;
    const ranMs = Math.floor(random() * 900_000); // also beyond the time limit
    if (starts) await startLease(market.deps, claim, null);
    await pass(jobId, ranMs);
    if (starts && random() < 0.15) {
      // Heartbeats were lost and the machine never comes back.
      await market.ageLease(claim.leaseId, 4_000);
      await expireLease(market.deps, jobId, claim.leaseId);
    } else {
      if (starts && random() < 0.8) await exitLease(market.deps, claim, random() < 0.5 ? 0 : 1);
      const reason = claims[Math.floor(random() * claims.length)] ?? 'exited-zero';
      const lie = Math.floor(ranMs * (random() < 0.5 ? 10 : 0.1));
      const detail = `The program ran for ${lie} ms since ${new Date(Date.now() - lie).toISOString()}.`;
      const code = random() < 0.3 ? null : random() < 0.5 ? 0 : 1;
      await reportEnd(market.deps, claim, { reason, detail, exit_code: code, log_chunks: 0 });
      // Said again, with other words: the first word counts.
      const again = { reason: 'exited-zero' as const, detail: null, exit_code: 0, log_chunks: 0 };
      await reportEnd(market.deps, claim, again).catch((thrown: unknown) => {
        if (!(thrown instanceof AppError)) throw thrown;
      });
    }
    const lease = await market.lastLease(jobId);
    invariant(lease.endReason, 'the try is over');
    const ours = lease.startedAt && lease.exitedAt ? lease.exitedAt.getTime() - lease.startedAt.getTime() : 0;
    const { billable } = endReasonRow(lease.endReason);
    const owed = billable && starts ? Math.min(ours, 600_000) : 0;
    expect(lease.billedMs, lease.endReason).toBe(owed);
    expect(lease.costMicros).toBe(costMicros(owed, lease.pricePerHourMicros));
    expect(lease.earnedMicros).toBe(lease.costMicros - lease.costMicros / 10n);
    if (owed > 0) billedTries += 1;
    else freeTries += 1;
    await db.transaction((tx) => endJob(tx, { jobId, reason: 'cancelled' })); // unless it is over already
    await settleJob(db, jobId);
    const [payment] = await db.select().from(payments).where(eq(payments.jobId, jobId));
    expect(payment?.amountMicros).toBe(lease.costMicros);
  }
  expect(Math.min(billedTries, freeTries)).toBeGreaterThan(jobCount / 10);
  expect(await auditLedger(db)).toEqual([]);
}, 300_000);
