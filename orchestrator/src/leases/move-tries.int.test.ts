import { providers } from '@computefabric/db/schema/providers';
import type { JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  drainMachine,
  pauseMachine,
  planAbsence,
  reopenMachines,
  resumeMachine,
} from '../providers/availability.store.ts';
import { leaseBench, type TryStep } from '../testing/lease-bench.ts';
import { testCards } from '../testing/market-fixture.ts';
import type { LeaseClaim } from './lease.store.ts';
import { emptyMachine, emptyMachines } from './move-tries.ts';
import { acceptLease, exitLease, reportEnd } from './report-lease.ts';

const bench = leaseBench(2);
let market: typeof bench.market;
let owner: UserId;
let machine: ProviderId;
let job: JobId;

beforeEach(async () => {
  ({ market, person: owner, machine } = bench);
  job = await market.addJob(owner);
});

const mine = () => ({ ownerId: owner, providerId: machine });

const run = (upTo?: TryStep) => bench.run(job, upTo);

async function row() {
  const [found] = await bench.db.select().from(providers).where(eq(providers.id, machine));
  return found;
}

/** What was planned for later happens now. */
async function timePasses(seconds: number): Promise<void> {
  await bench.pool.query(
    `update providers set availability_until = availability_until - make_interval(secs => $2),
      vacate_by = vacate_by - make_interval(secs => $2), away_from = away_from - make_interval(secs => $2),
      away_until = away_until - make_interval(secs => $2) where id = $1`,
    [machine, seconds],
  );
}

async function isPlaced(): Promise<boolean> {
  await market.endBackoff(job);
  await market.matchOnce();
  return (await market.jobRow(job)).state === 'preparing';
}

/** The machine hears that it is to stop, and does. */
async function stopAsAsked(claim: LeaseClaim): Promise<void> {
  await exitLease(market.deps, claim, 143);
  await reportEnd(market.deps, claim, { reason: 'cancelled', detail: null, exit_code: 143, log_chunks: 0 });
}

describe('a paused machine', () => {
  test('gets nothing new and keeps what it has', async () => {
    const claim = await run();
    await pauseMachine(bench.db, mine(), { forSeconds: null, reason: 'gaming' });
    await emptyMachines(market.deps, 10);
    expect(await market.lastLease(job)).toMatchObject({ id: claim.leaseId, desired: 'run' });
    job = await market.addJob(owner);
    expect(await isPlaced()).toBe(false);
    await resumeMachine(bench.db, mine());
    expect(await isPlaced()).toBe(true);
  });

  test('opens again by itself when that was said, and not before', async () => {
    await pauseMachine(bench.db, mine(), { forSeconds: 3_600, reason: '' });
    await timePasses(3_590);
    expect(await reopenMachines(bench.db)).not.toContain(machine);
    expect(await isPlaced()).toBe(false);
    await timePasses(10);
    expect(await reopenMachines(bench.db)).toContain(machine);
    expect(await row()).toMatchObject({ availability: 'open', availabilityUntil: null });
    expect(await isPlaced()).toBe(true);
  });

  test('stays paused over a restart of its agent: what is wished and what is so are two things', async () => {
    await pauseMachine(bench.db, mine(), { forSeconds: null, reason: '' });
    await market.sayHello(machine, { gpus: testCards(2) });
    expect(await row()).toMatchObject({ state: 'online', availability: 'paused' });
    expect(await isPlaced()).toBe(false);
  });
});

describe('a machine that is drained', () => {
  test('lets jobs end by themselves until the time is over, then moves them, free and at once', async () => {
    const claim = await run();
    await drainMachine(bench.db, mine(), { withinSeconds: 1_800, reason: 'new cooler' });
    await emptyMachines(market.deps, 10);
    expect((await market.lastLease(job)).desired).toBe('run');
    await timePasses(1_800);
    expect(await emptyMachines(market.deps, 10)).toBe(1);
    expect(await market.lastLease(job)).toMatchObject({ desired: 'stop', stopReason: 'drained' });
    expect((await market.jobRow(job)).state).toBe('finishing');
    expect(await emptyMachines(market.deps, 10)).toBe(0); // once is enough
    await stopAsAsked(claim);
    expect(await market.lastLease(job)).toMatchObject({ endReason: 'provider-left', costMicros: 0n });
    expect(await market.jobRow(job)).toMatchObject({ state: 'queued', notBefore: null });
    expect(await isPlaced()).toBe(false);
    await market.addMachine(owner, { gpus: testCards(1) });
    expect(await isPlaced()).toBe(true);
  });

  test('gives an offer that nobody accepted back at once', async () => {
    const claim = await run('offered');
    await drainMachine(bench.db, mine(), { withinSeconds: 0, reason: '' });
    await emptyMachines(market.deps, 10);
    expect((await market.jobRow(job)).state).toBe('queued');
    await expect(acceptLease(market.deps, claim)).rejects.toMatchObject({ code: 'lease/stale' });
  });

  test('a program that ended by itself before it was told has succeeded', async () => {
    const claim = await run();
    await drainMachine(bench.db, mine(), { withinSeconds: 0, reason: '' });
    await emptyMachines(market.deps, 10);
    await exitLease(market.deps, claim, 0);
    await reportEnd(market.deps, claim, { reason: 'exited-zero', detail: null, exit_code: 0, log_chunks: 0 });
    expect((await market.jobRow(job)).state).toBe('succeeded');
  });

  test('an owner who allows less time than the job asks for has the machine back after that', async () => {
    await market.sayHello(machine, { gpus: testCards(2), move_grace_seconds: 5 });
    const claim = await run();
    await drainMachine(bench.db, mine(), { withinSeconds: 0, reason: '' });
    await emptyMachines(market.deps, 10);
    const { stopBy, stopReason } = await market.lastLease(job);
    expect(stopReason).toBe('drained');
    const secondsLeft = ((stopBy?.getTime() ?? Number.NaN) - Date.now()) / 1_000;
    expect(secondsLeft).toBeGreaterThan(2);
    expect(secondsLeft).toBeLessThan(6);
    await stopAsAsked(claim);
    expect((await market.jobRow(job)).state).toBe('queued');
  });

  test('an agent that says goodbye takes the same road', async () => {
    await run();
    await emptyMachine(market.deps, machine);
    expect(await market.lastLease(job)).toMatchObject({ desired: 'stop', stopReason: 'drained' });
  });
});

describe('a planned absence', () => {
  const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000);

  test('moves what still runs when it begins, and the machine works again when it is over', async () => {
    const claim = await run();
    await planAbsence(bench.db, mine(), { from: inHours(1), until: inHours(2), reason: '' });
    await emptyMachines(market.deps, 10);
    expect((await market.lastLease(job)).desired).toBe('run');
    await timePasses(3_601);
    await emptyMachines(market.deps, 10);
    expect(await market.lastLease(job)).toMatchObject({ desired: 'stop', stopReason: 'drained' });
    await stopAsAsked(claim);
    expect(await isPlaced()).toBe(false);
    await timePasses(3_600);
    expect(await reopenMachines(bench.db)).toContain(machine);
    expect(await row()).toMatchObject({ awayFrom: null, awayUntil: null });
    expect(await isPlaced()).toBe(true);
  });

  test('that is taken back changes nothing', async () => {
    await planAbsence(bench.db, mine(), { from: inHours(1), until: inHours(2), reason: '' });
    await planAbsence(bench.db, mine(), null);
    await run();
    await timePasses(3_601);
    expect(await emptyMachines(market.deps, 10)).toBe(0);
  });
});

test("nobody changes what is wished of another's machine", async () => {
  const stranger = { ownerId: await market.addUser(), providerId: machine };
  expect(await pauseMachine(bench.db, stranger, { forSeconds: null, reason: '' })).toBe(false);
  expect(await drainMachine(bench.db, stranger, { withinSeconds: 0, reason: '' })).toBe(false);
  expect(await row()).toMatchObject({ availability: 'open', vacateBy: null });
});
