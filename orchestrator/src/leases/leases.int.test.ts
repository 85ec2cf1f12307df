import { jobEvents } from '@computefabric/db/schema/job-events';
import { leases } from '@computefabric/db/schema/leases';
import { type GpuId, type JobId, newId, type ProviderId, type UserId } from '@computefabric/protocol/ids';
import { asc, eq } from 'drizzle-orm';
import { beforeEach, describe, expect, test } from 'vitest';
import { needsWith } from '../matching/machine-view.ts';
import { loadMachines } from '../matching/market.store.ts';
import { recordHeartbeat } from '../sessions/record-heartbeat.ts';
import { endedWell, leaseBench, type TryStep } from '../testing/lease-bench.ts';
import { testCards } from '../testing/market-fixture.ts';
import { cancelJob } from './cancel-job.ts';
import { expireLease } from './expire-leases.worker.ts';
import { grantLeases } from './grant-leases.ts';
import { extendLeasesAfterRestart } from './lease-expiry.store.ts';
import {
  acceptLease,
  exitLease,
  rejectLease,
  releaseClaimedLease,
  reportEnd,
  startLease,
  startLeaseAtOnce,
} from './report-lease.ts';

const bench = leaseBench(2);
let market: typeof bench.market;
let renter: UserId;
let machine: ProviderId;
let job: JobId;

beforeEach(async () => {
  ({ market, person: renter, machine } = bench);
  job = await market.addJob(renter);
});

const runTo = (step: TryStep) => bench.run(job, step);

async function eventTypes(jobId: JobId): Promise<string[]> {
  const rows = await bench.db
    .select({ seq: jobEvents.seq, type: jobEvents.type })
    .from(jobEvents)
    .where(eq(jobEvents.jobId, jobId))
    .orderBy(asc(jobEvents.seq));
  expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, index) => index + 1));
  return rows.map(({ type }) => type);
}

async function reservedGpus(): Promise<number> {
  const [view] = await loadMachines(bench.db, [machine]);
  return view?.gpus.filter((gpu) => gpu.freeMilli < 1_000).length ?? 0;
}

async function someGpuIds(count: number): Promise<GpuId[]> {
  const [view] = await loadMachines(bench.db, [machine]);
  return view?.gpus.slice(0, count).map(({ id }) => id) ?? [];
}

async function expire(leaseId: Awaited<ReturnType<typeof market.claimOf>>['leaseId'], seconds = 31) {
  await market.ageLease(leaseId, seconds);
  await expireLease(market.deps, job, leaseId);
}

describe('the whole life of a try', () => {
  test('offer, accept, start, exit, end, release: the job succeeds, is billed by our clock and frees its GPU', async () => {
    const claim = await runTo('running');
    expect((await market.jobRow(job)).state).toBe('running');
    await market.ageLease(claim.leaseId, 10); // ten seconds pass
    await exitLease(market.deps, claim, 0);
    expect((await market.jobRow(job)).state).toBe('finishing');
    await reportEnd(market.deps, claim, endedWell);
    const row = await market.jobRow(job);
    expect(row).toMatchObject({ state: 'succeeded', endReason: 'exited-zero', exitCode: 0, leaseId: null });
    const lease = await market.lastLease(job);
    expect(lease.billedMs).toBeGreaterThanOrEqual(10_000);
    expect(lease.billedMs).toBeLessThan(20_000);
    expect(lease.costMicros).toBe((BigInt(lease.billedMs) * 360_000n) / 3_600_000n);
    expect(await reservedGpus()).toBe(1);
    await releaseClaimedLease(market.deps, claim);
    expect(await reservedGpus()).toBe(0);
    expect(await eventTypes(job)).toEqual(['matched', 'accepted', 'started', 'exited', 'ended']);
  });

  test('every report may come twice and has its effect once', async () => {
    const claim = await runTo('offered');
    await acceptLease(market.deps, claim);
    await acceptLease(market.deps, claim);
    await startLease(market.deps, claim, null);
    const first = await market.lastLease(job);
    await startLease(market.deps, claim, null);
    expect((await market.lastLease(job)).startedAt).toEqual(first.startedAt);
    await exitLease(market.deps, claim, 3);
    await exitLease(market.deps, claim, 0);
    const firstEnd = await reportEnd(market.deps, claim, {
      ...endedWell,
      reason: 'exited-nonzero',
      exit_code: 3,
    });
    const secondEnd = await reportEnd(market.deps, claim, {
      ...endedWell,
      reason: 'exited-nonzero',
      exit_code: 3,
    });
    expect(secondEnd).toEqual(firstEnd);
    await releaseClaimedLease(market.deps, claim);
    await releaseClaimedLease(market.deps, claim);
    expect(await market.jobRow(job)).toMatchObject({ state: 'failed', exitCode: 3 });
    expect(await eventTypes(job)).toEqual(['matched', 'accepted', 'started', 'exited', 'ended']);
  });

  test('a start in one statement does what a start does, for the first word of the current session alone', async () => {
    const claim = await runTo('active');
    const { rows } = await bench.pool.query('select session from providers where id = $1', [machine]);
    const call = { ...claim, session: Number(rows[0].session) };
    const start = (change: Partial<typeof call>) =>
      startLeaseAtOnce(market.deps, { ...call, ...change }, 'sha256:abc');
    expect(await start({ session: call.session - 1 })).toBe(false);
    expect(await start({ fence: call.fence + 1 })).toBe(false);
    expect(await start({ providerId: newId('provider') })).toBe(false);
    expect((await market.lastLease(job)).startedAt).toBeNull();
    expect((await market.jobRow(job)).state).toBe('preparing');
    const answers = await Promise.all([start({}), start({}), start({})]);
    expect(answers.filter((started) => started)).toHaveLength(1);
    expect(await market.lastLease(job)).toMatchObject({ imageDigest: 'sha256:abc', taskState: 'running' });
    const { state, startedAt } = await market.jobRow(job);
    expect({ state, startedAt }).toEqual({
      state: 'running',
      startedAt: (await market.lastLease(job)).startedAt,
    });
    expect(await eventTypes(job)).toEqual(['matched', 'accepted', 'started']);
  });

  test('a start in one statement starts nothing that has run out, and leaves a job that is to stop as it is', async () => {
    const claim = await runTo('active');
    const { rows } = await bench.pool.query('select session from providers where id = $1', [machine]);
    const call = { ...claim, session: Number(rows[0].session) };
    await bench.pool.query(
      `update leases set expires_at = now() - interval '1 s' where id = '${claim.leaseId}'`,
    );
    expect(await startLeaseAtOnce(market.deps, call, null)).toBe(false);
    await bench.pool.query(
      `update leases set expires_at = now() + interval '1 min' where id = '${claim.leaseId}'`,
    );
    await cancelJob(market.deps, { userId: renter, jobId: job });
    expect((await market.jobRow(job)).state).toBe('finishing');
    expect(await startLeaseAtOnce(market.deps, call, null)).toBe(true);
    expect(await market.jobRow(job)).toMatchObject({ state: 'finishing', startedAt: null });
    expect((await market.lastLease(job)).startedAt).not.toBeNull();
  });

  test('an end is refused while output is missing, and says from where to send', async () => {
    const claim = await runTo('exited');
    await expect(reportEnd(market.deps, claim, { ...endedWell, log_chunks: 2 })).rejects.toMatchObject({
      code: 'lease/logs-incomplete',
      details: { next_seq: 0 },
    });
    expect((await market.jobRow(job)).state).toBe('finishing');
  });
});

describe('granting', () => {
  const needs = needsWith({ gpus: 1, memoryMib: 512, maxPricePerHourMicros: 1_000_000n });

  test('of many grants of one proposal exactly one wins', async () => {
    const gpuIds = await someGpuIds(1);
    const results = await Promise.all(
      Array.from({ length: 8 }, () =>
        grantLeases(bench.db, market.deps.settings, [
          [{ jobId: job, leaseId: newId('lease'), providerId: machine, gpuIds, needs }],
        ]),
      ),
    );
    expect(results.flat().filter((result) => result === 'granted')).toHaveLength(1);
    expect(await reservedGpus()).toBe(1);
  });

  test('two jobs proposed for the same GPU: one is granted', async () => {
    const other = await market.addJob(renter);
    const gpuIds = await someGpuIds(1);
    const results = await Promise.all(
      [job, other].map((jobId) =>
        grantLeases(bench.db, market.deps.settings, [
          [{ jobId, leaseId: newId('lease'), providerId: machine, gpuIds, needs }],
        ]),
      ),
    );
    expect(results.flat().toSorted()).toEqual(['granted', 'stale']);
    // The loser's transaction left nothing behind: it waits as before.
    const states = [(await market.jobRow(job)).state, (await market.jobRow(other)).state].toSorted();
    expect(states).toEqual(['preparing', 'queued']);
  });

  test('the price of a try is frozen: a later hello with another price does not change it', async () => {
    await runTo('active');
    const { id, fence } = await market.lastLease(job);
    await market.sayHello(machine, { gpus: testCards(2), price_per_gpu_hour_micros: '999000' }, [
      { lease_id: id, fence, task_state: 'running' },
    ]);
    expect((await market.lastLease(job)).pricePerHourMicros).toBe(360_000n);
  });

  test('CPU and memory of a machine are never given out twice', async () => {
    const big = { gpus: 0, cpuMilli: 5_000, memoryMib: 9_000 };
    const first = await market.addJob(renter, big);
    const second = await market.addJob(renter, big);
    await market.matchOnce();
    const states = [(await market.jobRow(first)).state, (await market.jobRow(second)).state].toSorted();
    expect(states).toEqual(['preparing', 'queued']);
  });
});

describe('machines that vanish', () => {
  test('a lease that ran out is lost: the job is queued again and nothing is billed', async () => {
    const claim = await runTo('running');
    await expire(claim.leaseId);
    expect(await market.lastLease(job)).toMatchObject({
      state: 'lost',
      endReason: 'provider-lost',
      costMicros: 0n,
    });
    expect((await market.jobRow(job)).state).toBe('queued');
    expect(await reservedGpus()).toBe(0);
  });

  test('a lease that ran out cannot be completed, renewed or written to, and says so as stale', async () => {
    const claim = await runTo('running');
    await expire(claim.leaseId);
    const before = await market.lastLease(job);
    for (const call of [
      () => startLease(market.deps, claim, null),
      () => exitLease(market.deps, claim, 0),
      () => reportEnd(market.deps, claim, endedWell),
      () => releaseClaimedLease(market.deps, claim),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'lease/stale', status: 409 });
    }
    const task = {
      lease_id: claim.leaseId,
      fence: claim.fence,
      task_state: 'running',
      progress: null,
    } as const;
    expect(await recordHeartbeat(market.deps, machine, [task])).toMatchObject([
      { lease_id: claim.leaseId, verdict: 'gone' },
    ]);
    expect(await market.lastLease(job)).toEqual(before);
    expect(market.staleCalls.length).toBe(5);
  });

  test('a heartbeat after the lease time does not revive a lease that nobody has expired yet', async () => {
    const claim = await runTo('running');
    await market.ageLease(claim.leaseId, 31);
    const task = {
      lease_id: claim.leaseId,
      fence: claim.fence,
      task_state: 'running',
      progress: null,
    } as const;
    expect((await recordHeartbeat(market.deps, machine, [task]))[0]?.verdict).toBe('gone');
  });

  test('the same try with another fence, or another machine, is refused', async () => {
    const claim = await runTo('running');
    await expect(exitLease(market.deps, { ...claim, fence: claim.fence + 1 }, 0)).rejects.toMatchObject({
      code: 'lease/stale',
    });
    const stranger = await market.addMachine(await market.addUser());
    await expect(exitLease(market.deps, { ...claim, providerId: stranger }, 0)).rejects.toMatchObject({
      code: 'lease/not-found',
    });
    expect((await market.jobRow(job)).state).toBe('running');
  });

  test('after a lost try the job runs again, is billed once, and the first try stays unpaid', async () => {
    const first = await runTo('running');
    await expire(first.leaseId);
    await market.endBackoff(job);
    const second = await runTo('running');
    expect(second.leaseId).not.toBe(first.leaseId);
    await market.ageLease(second.leaseId, 5);
    await exitLease(market.deps, second, 0);
    await reportEnd(market.deps, second, endedWell);
    const all = await bench.db
      .select()
      .from(leases)
      .where(eq(leases.jobId, job))
      .orderBy(asc(leases.attempt));
    expect(all.map(({ costMicros }) => costMicros > 0n)).toEqual([false, true]);
    expect((await market.jobRow(job)).attempts).toBe(2);
  });

  test('a job whose tries machines keep spoiling is given up after the limit, unbilled', async () => {
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const claim = await runTo('running');
      await expire(claim.leaseId);
      await market.endBackoff(job);
    }
    expect(await market.jobRow(job)).toMatchObject({ state: 'failed', endReason: 'provider-lost' });
  });

  test('an offer that nobody answers goes back to the queue, and cannot be accepted late', async () => {
    const claim = await runTo('offered');
    await expire(claim.leaseId);
    expect((await market.jobRow(job)).state).toBe('queued');
    await expect(acceptLease(market.deps, claim)).rejects.toMatchObject({ code: 'lease/stale' });
  });

  test('a refused offer goes back to the queue with the reason in the history', async () => {
    const claim = await runTo('offered');
    await rejectLease(market.deps, claim, 'price floor');
    expect((await market.jobRow(job)).state).toBe('queued');
    expect(await eventTypes(job)).toEqual(['matched', 'requeued']);
  });

  test('a machine that restarts keeps the tries it still names and loses the others at once', async () => {
    const claim = await runTo('running');
    const kept = await market.sayHello(machine, { gpus: testCards(2) }, [
      { lease_id: claim.leaseId, fence: claim.fence, task_state: 'running' },
    ]);
    expect(kept.tasks).toMatchObject([{ lease_id: claim.leaseId, verdict: 'run' }]);
    expect((await market.jobRow(job)).state).toBe('running');
    const empty = await market.sayHello(machine, { gpus: testCards(2) });
    expect(empty.session).toBe(kept.session + 1);
    expect(await market.lastLease(job)).toMatchObject({ state: 'lost' });
    expect((await market.jobRow(job)).state).toBe('queued');
  });

  test('a restart of the orchestrator gives every open lease a fresh term', async () => {
    const claim = await runTo('running');
    await market.ageLease(claim.leaseId, 60);
    await extendLeasesAfterRestart(bench.db, 30);
    await expireLease(market.deps, job, claim.leaseId);
    expect((await market.lastLease(job)).state).toBe('active');
  });
});

describe('cancelling', () => {
  test('a queued job ends at once', async () => {
    expect(await cancelJob(market.deps, { userId: renter, jobId: job })).toBe('cancelled');
    expect(await market.jobRow(job)).toMatchObject({ state: 'cancelled', endReason: 'cancelled' });
  });

  test('an offered job ends at once and the offer is taken back', async () => {
    const claim = await runTo('offered');
    expect(await cancelJob(market.deps, { userId: renter, jobId: job })).toBe('cancelled');
    await expect(acceptLease(market.deps, claim)).rejects.toMatchObject({ code: 'lease/stale' });
    expect(await reservedGpus()).toBe(0);
  });

  test('a running job is told to stop, once, and pays for what it ran', async () => {
    const claim = await runTo('running');
    await market.ageLease(claim.leaseId, 4);
    expect(await cancelJob(market.deps, { userId: renter, jobId: job })).toBe('cancelling');
    expect(await cancelJob(market.deps, { userId: renter, jobId: job })).toBe('cancelling');
    expect((await market.jobRow(job)).state).toBe('finishing');
    const task = {
      lease_id: claim.leaseId,
      fence: claim.fence,
      task_state: 'running',
      progress: null,
    } as const;
    expect((await recordHeartbeat(market.deps, machine, [task]))[0]?.verdict).toBe('stop');
    await exitLease(market.deps, claim, 143);
    await reportEnd(market.deps, claim, { ...endedWell, reason: 'cancelled', exit_code: 143 });
    expect((await market.jobRow(job)).state).toBe('cancelled');
    expect((await market.lastLease(job)).costMicros).toBeGreaterThan(0n);
  });

  test('a cancelled job whose machine vanishes ends as cancelled and is not run again', async () => {
    const claim = await runTo('running');
    await cancelJob(market.deps, { userId: renter, jobId: job });
    await expire(claim.leaseId);
    expect((await market.jobRow(job)).state).toBe('cancelled');
    expect((await market.lastLease(job)).costMicros).toBe(0n);
  });

  test("somebody else's job is not found, and a finished one is said to be final", async () => {
    const stranger = await market.addUser();
    expect(await cancelJob(market.deps, { userId: stranger, jobId: job })).toBe('not-found');
    await cancelJob(market.deps, { userId: renter, jobId: job });
    expect(await cancelJob(market.deps, { userId: renter, jobId: job })).toBe('already-final');
  });
});
