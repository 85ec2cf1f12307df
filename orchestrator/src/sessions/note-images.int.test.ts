import { createDb } from '@computefabric/db/client';
import { listen } from '@computefabric/db/listen';
import { createTestDatabase } from '@computefabric/db/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadMachines } from '../matching/market.store.ts';
import { marketFixture } from '../testing/market-fixture.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { imageNotes } from './note-images.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let market: ReturnType<typeof marketFixture>;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 5 });
  market = marketFixture(connection.db);
});
afterAll(async () => {
  await connection.close();
  await database.close();
});

test('the matcher knows which images a machine has as soon as the machine says so', async () => {
  const machine = await market.addMachine(await market.addUser());
  const lines: string[] = [];
  const listening = await listen(database.url, ['cf_queue'], (_, payload) => void lines.push(payload), {
    onReconnect: () => undefined,
  });
  const note = imageNotes();
  await note(market.deps, machine, ['a:1', 'b:1']);
  await waitUntil('the matcher is told', async () => lines.includes(machine));
  expect((await loadMachines(connection.db, [machine]))[0]?.cachedImages).toEqual(['a:1', 'b:1']);
  // The same again is no news.
  await note(market.deps, machine, ['a:1', 'b:1']);
  await note(market.deps, machine, ['a:1']);
  await waitUntil('it is told of the change', async () => lines.length >= 2);
  expect(lines).toEqual([machine, machine]);
  await listening.close();
});

test('what at least three accounts ran lately is suggested, most first, and what fewer run is told to nobody', async () => {
  const machine = await market.addMachine(await market.addUser());
  const accounts = await Promise.all(Array.from({ length: 4 }, () => market.addUser()));
  for (const [at, account] of accounts.entries()) {
    await market.addJob(account, { image: 'everybody:1' });
    if (at < 3) await market.addJob(account, { image: 'three:1' });
    if (at < 2) await market.addJob(account, { image: 'secret:1' });
    if (at < 3)
      await market.addJob(account, { image: 'old:1', createdAt: new Date(Date.now() - 2 * 86_400_000) });
    // One account cannot make an image popular, however many jobs it has.
    await market.addJob(accounts[0] ?? account, { image: 'mine:1' });
  }
  let nowMs = 0;
  const note = imageNotes(() => nowMs);
  expect(await note(market.deps, machine, [])).toEqual(['everybody:1', 'three:1']);
  const [, , third] = accounts;
  if (third) await market.addJob(third, { image: 'secret:1' });
  expect(await note(market.deps, machine, [])).toEqual(['everybody:1', 'three:1']);
  nowMs = 61_000;
  expect(await note(market.deps, machine, [])).toContain('secret:1');
});
