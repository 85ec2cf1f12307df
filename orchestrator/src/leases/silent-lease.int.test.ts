import { jobEvents } from '@computefabric/db/schema/job-events';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import type { JobId, LeaseId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import { beforeEach, describe, expect, test } from 'vitest';
import { appendLogChunks } from '../run-logs/append-log-chunks.ts';
import { readLogs } from '../run-logs/read-logs.ts';
import { recordHeartbeat } from '../sessions/record-heartbeat.ts';
import { endedWell, leaseBench, type TryStep } from '../testing/lease-bench.ts';
import { testCards } from '../testing/market-fixture.ts';
import { cancelJob } from './cancel-job.ts';
import { expireLease } from './expire-leases.worker.ts';
import type { LeaseClaim } from './lease.store.ts';
import { acceptLease, exitLease, reportEnd } from './report-lease.ts';
import { reviveLease } from './silent-lease.ts';

const bench = leaseBench(1);
let market: typeof bench.market;
let renter: UserId;
let machine: ProviderId;
let job: JobId;

async function begin(terms: Parameters<typeof market.addJob>[1]): Promise<LeaseClaim> {
  job = await market.addJob(renter, terms);
  return await run();
}

const run = (upTo?: TryStep) => bench.run(job, upTo);

/** The machine is not heard of for longer than the lease time; everybody has noticed. */
async function fallSilent(claim: LeaseClaim, seconds = 31): Promise<void> {
  await market.ageLease(claim.leaseId, seconds);
  await expireLease(market.deps, job, claim.leaseId);
  await bench.db.update(providers).set({ state: 'offline' }).where(eq(providers.id, claim.providerId));
}

async function comeBack(claim: LeaseClaim) {
  await bench.db.update(providers).set({ state: 'online' }).where(eq(providers.id, claim.providerId));
  const task = {
    lease_id: claim.leaseId,
    fence: claim.fence,
    task_state: 'running',
    progress: null,
  } as const;
  const [answer] = await recordHeartbeat(market.deps, claim.providerId, [task]);
  return answer?.verdict;
}

async function leaseRow(id: LeaseId) {
  const [row] = await bench.db.select().from(leases).where(eq(leases.id, id));
  return row;
}

/** Ends the try well; the job is over and one result of it was accepted. */
async function finish(claim: LeaseClaim, logChunks = 0): Promise<void> {
  await exitLease(market.deps, claim, 0);
  await reportEnd(market.deps, claim, { ...endedWell, log_chunks: logChunks });
  expect(await market.jobRow(job)).toMatchObject({ state: 'succeeded', leaseId: null });
  const tries = await bench.db.select().from(leases).where(eq(leases.jobId, job));
  expect(tries.filter(({ endReason }) => endReason === 'exited-zero')).toHaveLength(1);
  expect(tries.filter(({ costMicros }) => costMicros > 0n).length).toBeLessThanOrEqual(1);
  expect(tries.filter(({ state }) => state === 'silent')).toEqual([]);
}

async function eventTypes(): Promise<string[]> {
  const rows = await bench.db
    .select({ type: jobEvents.type })
    .from(jobEvents)
    .where(eq(jobEvents.jobId, job))
    .orderBy(asc(jobEvents.seq));
  return rows.map(({ type }) => type);
}

/** Moves where a try began, so that it has run for longer. */
async function startedEarlier(claim: LeaseClaim, seconds: number): Promise<void> {
  await bench.db
    .update(leases)
    .set({ startedAt: sql`${leases.startedAt} - make_interval(secs => ${seconds})` })
    .where(eq(leases.id, claim.leaseId));
}

beforeEach(() => {
  ({ market, person: renter, machine } = bench);
});

describe('a job that waits for its machine', () => {
  test('stays with a machine that falls silent, goes on when it returns, and does not pay for the silence', async () => {
    const claim = await begin({ replaceWhenLost: false });
    await fallSilent(claim, 50);
    expect(await leaseRow(claim.leaseId)).toMatchObject({ state: 'silent' });
    expect(await market.jobRow(job)).toMatchObject({ state: 'running', leaseId: claim.leaseId });
    await market.matchOnce();
    expect((await market.lastLease(job)).id).toBe(claim.leaseId);
    expect(await comeBack(claim)).toBe('run');
    const back = await leaseRow(claim.leaseId);
    expect(back).toMatchObject({ state: 'active', silentAt: null });
    // It had last been heard of 30 s before its lease ran out: of the 50 s since its start none was.
    expect(back?.silentMs).toBeGreaterThanOrEqual(50_000);
    await finish(claim);
    expect((await market.lastLease(job)).billedMs).toBeLessThan(10_000);
    expect(await eventTypes()).toEqual([
      'matched',
      'accepted',
      'started',
      'silent',
      'returned',
      'exited',
      'ended',
    ]);
  });

  test('is heard again by whatever its machine says first', async () => {
    const claim = await begin({ replaceWhenLost: false });
    await fallSilent(claim);
    const kept = await market.sayHello(machine, { gpus: testCards(1) }, [
      { lease_id: claim.leaseId, fence: claim.fence, task_state: 'running' },
    ]);
    expect(kept.tasks).toMatchObject([{ verdict: 'run' }]);
    await finish(claim);
  });

  test('is kept also when its machine speaks of it before it counts as online again', async () => {
    const claim = await begin({ replaceWhenLost: false });
    await fallSilent(claim);
    await reviveLease(market.deps, claim);
    expect(await leaseRow(claim.leaseId)).toMatchObject({ state: 'active' });
    await finish(claim);
  });

  test('is tried again at once when its machine returns without it', async () => {
    const claim = await begin({ replaceWhenLost: false });
    await fallSilent(claim);
    await market.sayHello(machine, { gpus: testCards(1) });
    expect(await leaseRow(claim.leaseId)).toMatchObject({ state: 'lost', endReason: 'provider-lost' });
    expect((await market.jobRow(job)).state).toBe('queued');
  });

  test('is not kept for ever: when the wait is over it is tried again', async () => {
    const claim = await begin({ replaceWhenLost: false, stopAfterSeconds: 60 });
    await fallSilent(claim);
    await market.ageLease(claim.leaseId, 61);
    await expireLease(market.deps, job, claim.leaseId);
    expect(await leaseRow(claim.leaseId)).toMatchObject({ state: 'lost' });
    expect((await market.jobRow(job)).state).toBe('queued');
  });

  test('can be cancelled at once, and then its machine is told that it is gone', async () => {
    const claim = await begin({ replaceWhenLost: false });
    await fallSilent(claim);
    expect(await cancelJob(market.deps, { userId: renter, jobId: job })).toBe('cancelled');
    expect(await market.jobRow(job)).toMatchObject({ state: 'cancelled', endReason: 'cancelled' });
    expect(await comeBack(claim)).toBe('gone');
    expect((await market.lastLease(job)).costMicros).toBe(0n);
  });

  test('bears as much silence as it said before anything happens', async () => {
    const claim = await begin({ lostAfterSeconds: 300 });
    await market.ageLease(claim.leaseId, 200);
    await expireLease(market.deps, job, claim.leaseId);
    expect(await leaseRow(claim.leaseId)).toMatchObject({ state: 'active' });
    expect(await comeBack(claim)).toBe('run');
    await fallSilent(claim, 301);
    expect(await leaseRow(claim.leaseId)).toMatchObject({ state: 'lost' });
  });
});

describe('a job whose machine is replaced', () => {
  let other: ProviderId;

  async function replaced(keepOnReturn: 'original' | 'longest-running'): Promise<[LeaseClaim, LeaseClaim]> {
    const original = await begin({ keepOnReturn });
    await fallSilent(original);
    expect(await market.jobRow(job)).toMatchObject({ state: 'queued', leaseId: null });
    await market.endBackoff(job);
    other = await market.addMachine(renter, { gpus: testCards(1) });
    const replacement = await run();
    expect(replacement.providerId).toBe(other);
    return [original, replacement];
  }

  test('keeps the original when it asked for that; the replacement is stopped, free, and accepted nowhere', async () => {
    const [original, replacement] = await replaced('original');
    expect(await comeBack(original)).toBe('run');
    expect(await market.jobRow(job)).toMatchObject({ state: 'running', leaseId: original.leaseId });
    expect(await leaseRow(replacement.leaseId)).toMatchObject({
      state: 'lost',
      endReason: 'superseded',
      costMicros: 0n,
    });
    expect(await comeBack(replacement)).toBe('gone');
    await expect(exitLease(market.deps, replacement, 0)).rejects.toMatchObject({ code: 'lease/stale' });
    await finish(original);
  });

  test.each([
    ['the original', 600, 0],
    ['the replacement', 0, 600],
  ])('keeps the try that has run for longest: %s', async (winner, originalRan, replacementRan) => {
    const [original, replacement] = await replaced('longest-running');
    await startedEarlier(original, originalRan);
    await startedEarlier(replacement, replacementRan);
    // What the original ran before it fell silent counts, not the silence.
    await bench.db.update(leases).set({ silentAt: sql`now()` }).where(eq(leases.id, original.leaseId));
    const [kept, given] = winner === 'the original' ? [original, replacement] : [replacement, original];
    expect(await comeBack(original)).toBe(winner === 'the original' ? 'run' : 'gone');
    expect(await comeBack(given)).toBe('gone');
    expect(await comeBack(kept)).toBe('run');
    await finish(kept);
  });

  test('goes on where it was when the machine returns before a replacement was found', async () => {
    const original = await begin({ keepOnReturn: 'longest-running' });
    await fallSilent(original);
    expect((await market.jobRow(job)).state).toBe('queued');
    expect(await comeBack(original)).toBe('run');
    expect(await market.jobRow(job)).toMatchObject({ state: 'running', leaseId: original.leaseId });
    await market.endBackoff(job);
    await market.matchOnce();
    expect((await market.lastLease(job)).id).toBe(original.leaseId);
    await finish(original);
  });

  test('takes back an offer that nobody has accepted yet', async () => {
    const original = await begin({ keepOnReturn: 'longest-running' });
    await fallSilent(original);
    await market.endBackoff(job);
    await market.addMachine(renter, { gpus: testCards(1) });
    const offer = await run('offered');
    expect(offer.leaseId).not.toBe(original.leaseId);
    expect(await comeBack(original)).toBe('run');
    expect(await leaseRow(offer.leaseId)).toMatchObject({ state: 'withdrawn', endReason: 'superseded' });
    await expect(acceptLease(market.deps, offer)).rejects.toMatchObject({ code: 'lease/stale' });
    await finish(original);
  });

  test('is followed without a gap or a repeat, whichever try goes on', async () => {
    const [original, replacement] = await replaced('original');
    const print = (claim: LeaseClaim, seq: number, text: string) =>
      appendLogChunks(bench.db, {
        ...claim,
        firstSeq: seq,
        chunks: [{ seq, stream: 'stdout', atMs: 0, data: Buffer.from(text) }],
      });
    await print(replacement, 0, 'of the replacement');
    const first = await readLogs(bench.db, job, { attempt: 0, nextSeq: 0 }, { limit: 100 });
    expect(first).toMatchObject({ entries: [], open: true });
    await comeBack(original);
    await print(original, 0, 'of the original');
    await finish(original, 1);
    const rest = await readLogs(bench.db, job, first.position, { limit: 100 });
    expect(rest.entries.map(({ data }) => data)).toEqual(['of the original', 'of the replacement']);
    expect(rest.open).toBe(false);
  });

  test('is over when the replacement is done; the original hears that it is gone', async () => {
    const [original, replacement] = await replaced('original');
    await finish(replacement);
    expect(await leaseRow(original.leaseId)).toMatchObject({ state: 'lost', costMicros: 0n });
    expect(await comeBack(original)).toBe('gone');
    await expect(exitLease(market.deps, original, 0)).rejects.toMatchObject({ code: 'lease/stale' });
  });

  test('never gives up a program that is done for one that is not', async () => {
    const [original, replacement] = await replaced('original');
    await exitLease(market.deps, replacement, 0);
    expect(await comeBack(original)).toBe('gone');
    await reportEnd(market.deps, replacement, endedWell);
    expect((await market.jobRow(job)).state).toBe('succeeded');
  });

  test('keeps at most one try in the background: a second silence loses that try', async () => {
    const [original, replacement] = await replaced('original');
    await fallSilent(replacement);
    expect(await leaseRow(replacement.leaseId)).toMatchObject({ state: 'lost' });
    expect(await leaseRow(original.leaseId)).toMatchObject({ state: 'silent' });
    expect(await comeBack(original)).toBe('run');
    await finish(original);
  });

  test('ten machines that return at once leave one try with the job', async () => {
    const [original, replacement] = await replaced('longest-running');
    await bench.db
      .update(providers)
      .set({ state: 'online' })
      .where(inArray(providers.id, [original.providerId, replacement.providerId]));
    await Promise.all(
      Array.from({ length: 10 }, (_, index) => comeBack(index % 2 === 0 ? original : replacement)),
    );
    const open = await bench.db
      .select()
      .from(leases)
      .where(and(eq(leases.jobId, job), inArray(leases.state, ['offered', 'active', 'silent'])));
    expect(open).toHaveLength(1);
    expect((await market.jobRow(job)).leaseId).toBe(open[0]?.id);
  });
});

test('a try is not kept when what it had of its machine was given away meanwhile', async () => {
  const claim = await begin({ replaceWhenLost: false });
  const first = job;
  await fallSilent(claim);
  // The machine is heard of again by its poll, gets other work, and only then speaks of the first job.
  await bench.db.update(providers).set({ state: 'online' }).where(eq(providers.id, machine));
  job = await market.addJob(renter, {});
  await run();
  job = first;
  expect(await comeBack(claim)).toBe('gone');
  expect(await market.jobRow(first)).toMatchObject({ state: 'queued', leaseId: null });
});

test('an old fence revives nothing', async () => {
  const claim = await begin({ replaceWhenLost: false });
  await fallSilent(claim);
  expect(await comeBack({ ...claim, fence: claim.fence + 1 })).toBe('gone');
  expect(await leaseRow(claim.leaseId)).toMatchObject({ state: 'silent' });
});
