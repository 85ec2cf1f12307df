import { createDb } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { providers } from '@computefabric/db/schema/providers';
import { listen } from '@computefabric/db/listen';
import { createTestDatabase } from '@computefabric/db/testing';
import type { JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import { eq } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MarketMatcher } from '../leases/market-matcher.ts';
import { marketFixture, testCards } from '../testing/market-fixture.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { noteOwner } from './note-owner.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let market: ReturnType<typeof marketFixture>;
let renter: UserId;
let machine: ProviderId;

// A market of its own for each: a matcher looks at all of it.
beforeEach(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 5 });
  market = marketFixture(connection.db);
  renter = await market.addUser();
  machine = await market.addMachine(await market.addUser(), { gpus: testCards(1) });
});
afterEach(async () => {
  await connection.close();
  await database.close();
});

const used: OwnerNotice = {
  state: 'owner',
  reason: 'person',
  accepts_work: false,
  until: '2026-03-01T22:00:00Z',
};
const free: OwnerNotice = { state: 'unclaimed', reason: 'ready', accepts_work: true, until: null };

async function machineRow() {
  const [row] = await connection.db.select().from(providers).where(eq(providers.id, machine));
  if (!row) throw new Error('the machine is gone');
  return row;
}

async function tell(notice: OwnerNotice): Promise<void> {
  await noteOwner(market.deps, machine, (await machineRow()).session, notice);
}

async function stateOf(job: JobId): Promise<string | undefined> {
  const [row] = await connection.db.select({ state: jobs.state }).from(jobs).where(eq(jobs.id, job));
  return row?.state;
}

test('a machine whose owner is there gets nothing, and gets work after the next word of its rules', async () => {
  const matcher = new MarketMatcher(market.deps);
  await matcher.pass();
  await tell(used);
  expect((await machineRow()).ownerNotice).toEqual(used);
  matcher.noteChange(machine);
  const job = await market.addJob(renter);
  matcher.noteChange(job);
  expect((await matcher.pass()).granted).toBe(0);
  expect(await stateOf(job)).toBe('queued');
  await tell(free);
  matcher.noteChange(machine);
  expect((await matcher.pass()).granted).toBe(1);
  expect(await stateOf(job)).toBe('preparing');
});

test('a matcher that has not heard of it yet proposes the machine in vain', async () => {
  const matcher = new MarketMatcher(market.deps);
  await matcher.pass();
  await tell(used);
  const job = await market.addJob(renter);
  matcher.noteChange(job);
  expect((await matcher.pass()).granted).toBe(0);
  expect(await stateOf(job)).toBe('queued');
});

test('the matcher is told of what is new, and not of what was said before or by a session that is over', async () => {
  const lines: string[] = [];
  const listening = await listen(database.url, ['cf_queue'], (_, payload) => void lines.push(payload), {
    onReconnect: () => undefined,
  });
  const { session } = await machineRow();
  await noteOwner(market.deps, machine, session, used);
  await noteOwner(market.deps, machine, session, { ...used });
  await noteOwner(market.deps, machine, session - 1, free);
  expect((await machineRow()).ownerNotice).toEqual(used);
  await noteOwner(market.deps, machine, session, free);
  await waitUntil('both changes are told', async () => lines.length >= 2);
  expect(lines).toEqual([machine, machine]);
  await listening.close();
});
