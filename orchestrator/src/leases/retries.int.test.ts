import { jobEvents } from '@computefabric/db/schema/job-events';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { providers } from '@computefabric/db/schema/providers';
import type { JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { asc, eq, sql } from 'drizzle-orm';
import { beforeEach, describe, expect, test } from 'vitest';
import { settleJob } from '../billing/settle-job.ts';
import { submitJob } from '../jobs/submit-job.ts';
import { auditLedger } from '../ledger/audit.store.ts';
import { balanceMicros } from '../ledger/chart.ts';
import { grantPlayMoney } from '../ledger/grant-play-money.ts';
import { newMachineReliabilityMilli } from '../providers/reputation.store.ts';
import { recordHeartbeat } from '../sessions/record-heartbeat.ts';
import { leaseBench, type TryStep } from '../testing/lease-bench.ts';
import { testCards } from '../testing/market-fixture.ts';
import { cancelJob } from './cancel-job.ts';
import { endDisobedientTries, expireLease } from './expire-leases.worker.ts';
import { findJobsWaitingTooLong } from './lease-expiry.store.ts';
import type { LeaseClaim } from './lease.store.ts';
import { preemptLease } from './preempt-lease.ts';
import { acceptLease, exitLease, rejectLease, releaseClaimedLease, reportEnd } from './report-lease.ts';

const bench = leaseBench(1);
let market: typeof bench.market;
let renter: UserId;
let machine: ProviderId;

beforeEach(() => {
  ({ market, person: renter, machine } = bench);
});

const run = (job: JobId, upTo?: TryStep) => bench.run(job, upTo);

async function fail(claim: LeaseClaim, exitCode: number): Promise<void> {
  await exitLease(market.deps, claim, exitCode);
  const reason = exitCode === 0 ? 'exited-zero' : 'exited-nonzero';
  await reportEnd(market.deps, claim, { reason, detail: null, exit_code: exitCode, log_chunks: 0 });
  await releaseClaimedLease(market.deps, claim);
}

const triesOf = (job: JobId) =>
  bench.db.select().from(leases).where(eq(leases.jobId, job)).orderBy(asc(leases.attempt));

async function eventsOf(job: JobId) {
  return await bench.db.select().from(jobEvents).where(eq(jobEvents.jobId, job)).orderBy(asc(jobEvents.seq));
}

async function reliabilityOf(id: ProviderId): Promise<number | undefined> {
  const [row] = await bench.db.select().from(providers).where(eq(providers.id, id));
  return row?.reliabilityMilli;
}

describe("the program's own failures", () => {
  test('are tried again as often as the renter asked, each try billed, all out of one hold', async () => {
    await bench.db.transaction((tx) => grantPlayMoney(tx, renter, 1_000_000_000n));
    const spec = jobSpec.parse({
      image: 'busybox',
      requirements: { gpus: 1 },
      time_limit_seconds: 60,
      retries: { max: 2, never_on_exit_codes: [9] },
    });
    const limit = { userId: renter, spec, defaultMaxPricePerHourMicros: 1_000_000n };
    const { id: job, holdMicros } = await bench.db.transaction((tx) => submitJob(tx, limit));
    for (const exitCode of [1, 2, 3]) {
      const claim = await run(job);
      await market.ageLease(claim.leaseId, 1_000); // far over its time limit
      await fail(claim, exitCode);
    }
    expect(await market.jobRow(job)).toMatchObject({ state: 'failed', exitCode: 3, userFailures: 2 });
    const tries = await triesOf(job);
    expect(tries.map(({ costMicros }) => costMicros)).toEqual([6_000n, 6_000n, 6_000n]); // a minute at 0.36/h
    expect(
      (await eventsOf(job)).filter(({ type }) => type === 'retrying').map(({ message }) => message),
    ).toEqual([
      'The program ended with an error. It is tried again: retry 1 of 2.',
      'The program ended with an error. It is tried again: retry 2 of 2.',
    ]);
    expect(await settleJob(bench.db, job)).toBe(true);
    const [payment] = await bench.db.select().from(payments).where(eq(payments.jobId, job));
    expect(payment?.amountMicros).toBe(18_000n);
    expect(payment?.amountMicros).toBeLessThanOrEqual(holdMicros);
    expect(await balanceMicros(bench.db, 'renter_held', renter)).toBe(0n);
    expect(await auditLedger(bench.db)).toEqual([]);
  });

  test('an exit code that is never tried again ends the job at once', async () => {
    const job = await market.addJob(renter, { maxRetries: 5, neverRetryOnExitCodes: [9] });
    await fail(await run(job), 9);
    expect(await market.jobRow(job)).toMatchObject({ state: 'failed', exitCode: 9, userFailures: 0 });
  });

  test('a job that fails once and then succeeds has succeeded', async () => {
    const job = await market.addJob(renter, { maxRetries: 1 });
    await fail(await run(job), 1);
    expect(await market.jobRow(job)).toMatchObject({ state: 'queued', userFailures: 1 });
    await fail(await run(job), 0);
    expect(await market.jobRow(job)).toMatchObject({ state: 'succeeded', exitCode: 0 });
  });
});

describe('tries that machines spoil', () => {
  test('are not counted as failures of the program, and go to another machine when one fits', async () => {
    const other = await market.addMachine(renter, { gpus: testCards(1) });
    const job = await market.addJob(renter);
    const visited: ProviderId[] = [];
    for (let spoiled = 0; spoiled < 2; spoiled += 1) {
      const claim = await run(job);
      visited.push(claim.providerId);
      await market.ageLease(claim.leaseId, 31);
      await expireLease(market.deps, job, claim.leaseId);
    }
    expect(new Set(visited)).toEqual(new Set([machine, other]));
    expect(await market.jobRow(job)).toMatchObject({ state: 'queued', userFailures: 0 });
  });

  test('the only machine that fits is tried again after the rest: the job is never stuck', async () => {
    const job = await market.addJob(renter);
    const claim = await run(job);
    await market.ageLease(claim.leaseId, 31);
    await expireLease(market.deps, job, claim.leaseId);
    const { notBefore } = await market.jobRow(job);
    expect(notBefore?.getTime()).toBeGreaterThan(Date.now());
    expect((await run(job)).providerId).toBe(machine);
  });

  test('refused offers never use up what the operator allows, and do not set the queue timeout back', async () => {
    const job = await market.addJob(renter, { queueTimeoutSeconds: 600 });
    await bench.db
      .update(jobs)
      .set({ queuedAt: sql`now() - interval '599 seconds'` })
      .where(eq(jobs.id, job));
    for (let refused = 0; refused < 5; refused += 1) {
      await rejectLease(market.deps, await run(job, 'offered'), 'not today');
    }
    expect((await market.jobRow(job)).state).toBe('queued');
    await bench.db
      .update(jobs)
      .set({ queuedAt: sql`${jobs.queuedAt} - interval '1 second'` })
      .where(eq(jobs.id, job));
    expect(await findJobsWaitingTooLong(bench.db, 10)).toContain(job);
  });

  test('a job that ran begins a new wait when it is queued again', async () => {
    const job = await market.addJob(renter, { queueTimeoutSeconds: 600 });
    await bench.db
      .update(jobs)
      .set({ queuedAt: sql`now() - interval '599 seconds'` })
      .where(eq(jobs.id, job));
    const claim = await run(job);
    await market.ageLease(claim.leaseId, 31);
    await expireLease(market.deps, job, claim.leaseId);
    expect(Date.now() - (await market.jobRow(job)).queuedAt.getTime()).toBeLessThan(60_000);
  });
});

describe("a machine's record", () => {
  test('starts high but not perfect, falls with a lost try and rises with a finished one', async () => {
    expect(await reliabilityOf(machine)).toBe(newMachineReliabilityMilli);
    const lost = await market.addJob(renter);
    const claim = await run(lost);
    await market.ageLease(claim.leaseId, 31);
    await expireLease(market.deps, lost, claim.leaseId);
    const fallen = (await reliabilityOf(machine)) ?? 0;
    expect(fallen).toBeLessThan(newMachineReliabilityMilli);
    await fail(await run(lost), 1); // the program's failure speaks for the machine that ran it to its end
    expect(await reliabilityOf(machine)).toBeGreaterThan(fallen);
  });

  test('is not touched by a refused offer, a cancel or a move', async () => {
    const job = await market.addJob(renter);
    await rejectLease(market.deps, await run(job, 'offered'), 'not today');
    expect(await reliabilityOf(machine)).toBe(newMachineReliabilityMilli);
  });
});

describe('a spot job that gives way', () => {
  const preempt = (claim: LeaseClaim, by: JobId) =>
    bench.db.transaction((tx) => preemptLease(tx, market.deps.settings, { leaseId: claim.leaseId, by }));

  test('hears of it before it is killed, is stopped, queued again free, and told why', async () => {
    const spot = await market.addJob(renter, { class: 'spot', stopGraceSeconds: 10 });
    const claim = await run(spot);
    const by = await market.addJob(renter);
    expect(await preempt(claim, by)).toBe('stopping');
    expect(await preempt(claim, by)).toBe('no'); // once is enough
    const task = {
      lease_id: claim.leaseId,
      fence: claim.fence,
      task_state: 'running',
      progress: null,
    } as const;
    const [answer] = await recordHeartbeat(market.deps, machine, [task]);
    expect(answer?.verdict).toBe('stop');
    expect(answer?.stop_within_seconds).toBeGreaterThan(8);
    expect(answer?.stop_within_seconds).toBeLessThanOrEqual(10);
    await exitLease(market.deps, claim, 143);
    await reportEnd(market.deps, claim, { reason: 'cancelled', detail: null, exit_code: 143, log_chunks: 0 });
    expect(await market.jobRow(spot)).toMatchObject({ state: 'queued', userFailures: 0, notBefore: null });
    expect(await market.lastLease(spot)).toMatchObject({ endReason: 'preempted', costMicros: 0n });
    expect((await eventsOf(spot)).map(({ type }) => type)).toContain('preempting');
    expect((await eventsOf(by)).map(({ type }) => type)).toEqual(['making-room']);
    expect(await reliabilityOf(machine)).toBe(newMachineReliabilityMilli);
  });

  test('and is cancelled meanwhile does not come back', async () => {
    const spot = await market.addJob(renter, { class: 'spot' });
    const claim = await run(spot);
    await preempt(claim, await market.addJob(renter));
    expect(await cancelJob(market.deps, { userId: renter, jobId: spot })).toBe('cancelling');
    await exitLease(market.deps, claim, 143);
    await reportEnd(market.deps, claim, { reason: 'cancelled', detail: null, exit_code: 143, log_chunks: 0 });
    expect(await market.jobRow(spot)).toMatchObject({ state: 'cancelled', endReason: 'cancelled' });
  });

  test('has no longer than the market gives notice, whatever grace time it asked for', async () => {
    const spot = await market.addJob(renter, { class: 'spot', stopGraceSeconds: 600 });
    const claim = await run(spot);
    await preempt(claim, await market.addJob(renter));
    const { stopBy } = await market.lastLease(spot);
    expect((stopBy?.getTime() ?? 0) - Date.now()).toBeLessThan(31_000);
  });

  test('loses an offer that nobody has accepted at once', async () => {
    const spot = await market.addJob(renter, { class: 'spot' });
    const claim = await run(spot, 'offered');
    expect(await preempt(claim, await market.addJob(renter))).toBe('withdrawn');
    expect((await market.jobRow(spot)).state).toBe('queued');
    await expect(acceptLease(market.deps, claim)).rejects.toMatchObject({ code: 'lease/stale' });
  });

  test('an on-demand job never does', async () => {
    const onDemand = await market.addJob(renter);
    const claim = await run(onDemand);
    expect(await preempt(claim, await market.addJob(renter))).toBe('no');
    expect((await market.lastLease(onDemand)).desired).toBe('run');
  });

  test('a machine that does not stop it in time loses it', async () => {
    const spot = await market.addJob(renter, { class: 'spot' });
    const claim = await run(spot);
    await preempt(claim, await market.addJob(renter));
    await bench.db
      .update(leases)
      .set({ stopBy: sql`now() - interval '60 seconds'` })
      .where(eq(leases.id, claim.leaseId));
    await endDisobedientTries(market.deps);
    expect(await market.lastLease(spot)).toMatchObject({ state: 'lost', endReason: 'provider-error' });
    expect((await market.jobRow(spot)).state).toBe('queued');
  });
});
