import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { createDb } from './client.ts';
import { type Listener, listen } from './listen.ts';
import { createTestDatabase } from './testing.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let listener: Listener | null = null;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url);
});

afterEach(async () => {
  await listener?.close();
  listener = null;
});

afterAll(async () => {
  await connection.close();
  await database.close();
});

it('hears every channel, with the payload, from the moment that onReconnect was called', async () => {
  const heard: string[] = [];
  let connects = 0;
  listener = await listen(
    database.url,
    ['boxes', 'lids'],
    (channel, payload) => void heard.push(`${channel} ${payload}`),
    {
      onReconnect: () => {
        connects += 1;
      },
    },
  );
  expect(connects).toBe(1);
  await connection.pool.query(
    `select pg_notify('boxes', 'one'), pg_notify('lids', 'two'), pg_notify('other', 'three')`,
  );
  await waitFor(() => heard.length >= 2);
  expect(heard.sort()).toEqual(['boxes one', 'lids two']);
});

it('reconnects after its connection was ended, calls onReconnect each time, and hears again', async () => {
  const heard: string[] = [];
  const errors: Error[] = [];
  let connects = 0;
  listener = await listen(database.url, ['boxes'], (_, payload) => void heard.push(payload), {
    onReconnect: () => {
      connects += 1;
    },
    onError: (error) => errors.push(error),
    applicationName: 'listen-test',
  });
  for (const round of [1, 2, 3]) {
    expect(await terminate('listen-test')).toBe(1);
    await waitFor(() => connects === round + 1);
    await connection.pool.query(`select pg_notify('boxes', $1)`, [String(round)]);
    await waitFor(() => heard.length === round);
  }
  expect(heard).toEqual(['1', '2', '3']);
  expect(errors).toHaveLength(3);
});

it('goes on after a callback threw, and reports the error', async () => {
  const errors: string[] = [];
  let calls = 0;
  listener = await listen(
    database.url,
    ['boxes'],
    async () => {
      calls += 1;
      throw new Error(`broken ${calls}`);
    },
    {
      onReconnect: () => Promise.reject(new Error('not caught up')),
      onError: (error) => errors.push(error.message),
    },
  );
  await connection.pool.query(`notify boxes`);
  await connection.pool.query(`notify boxes`);
  await waitFor(() => errors.length === 3);
  expect(errors).toEqual(['not caught up', 'broken 1', 'broken 2']);
});

it('is gone from the server after close, also while it was reconnecting', async () => {
  const options = { onReconnect: () => {}, onError: () => {}, applicationName: 'listen-close' };
  const first = await listen(database.url, ['boxes'], () => {}, options);
  await first.close();
  await waitForAsync(async () => (await terminate('listen-close')) === 0);
  const second = await listen(database.url, ['boxes'], () => {}, options);
  await terminate('listen-close');
  await second.close();
  await waitForAsync(async () => (await terminate('listen-close')) === 0);
});

it('says at once that the first connection is impossible, and refuses odd channel names', async () => {
  const wrong = new URL(database.url);
  wrong.pathname = '/no_such_database';
  const options = { onReconnect: () => {} };
  await expect(listen(wrong.href, ['boxes'], () => {}, options)).rejects.toThrow('does not exist');
  await expect(listen(database.url, ['boxes; drop'], () => {}, options)).rejects.toThrow(
    'Not a channel name',
  );
});

/** Ends the sessions of this application; returns how many there were. */
async function terminate(applicationName: string): Promise<number> {
  const { rowCount } = await connection.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = $1 and datname = current_database()`,
    [applicationName],
  );
  return rowCount ?? 0;
}

async function waitFor(condition: () => boolean): Promise<void> {
  await waitForAsync(async () => condition());
}

async function waitForAsync(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited 10 seconds in vain for ${condition.toString()}`);
    await delay(10);
  }
}
