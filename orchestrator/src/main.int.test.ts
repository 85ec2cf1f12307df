import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestDatabase } from '@computefabric/db/testing';
import { newBearer } from '@computefabric/protocol/api-key';
import { withDeadline } from '@computefabric/runtime/wait';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import {
  freePort,
  type OrchestratorProcess,
  spawnOrchestrator,
  untilReady,
} from './testing/orchestrator-process.ts';

// A process of its own takes its time to start on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let port: number;
let url: string;
const operator = newBearer('user').token;
let home: string;
let database: Awaited<ReturnType<typeof createTestDatabase>>;
const running: OrchestratorProcess[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'cf-main-'));
  database = await createTestDatabase();
  port = await freePort();
  url = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  for (const one of running) await one.stop('SIGKILL');
  await database.close();
  await rm(home, { recursive: true, force: true });
});

const settings = () => ({
  ORCHESTRATOR_PORT: String(port),
  COMPUTEFABRIC_HOME: home,
  DATABASE_URL: database.url,
  COMPUTEFABRIC_OPERATOR_TOKEN: operator,
  LOG_LEVEL: 'trace',
});

async function start(): Promise<OrchestratorProcess> {
  const orchestrator = spawnOrchestrator(settings());
  running.push(orchestrator);
  await untilReady(url, orchestrator);
  return orchestrator;
}

type Init = Omit<RequestInit, 'headers'> & { headers?: Record<string, string> };
const call = (path: string, init: Init = {}, token = operator) =>
  fetch(`${url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...init.headers },
  });

test('two starts make one operator with one grant of play money, and SIGTERM ends it with 0', async () => {
  for (const round of [1, 2]) {
    const orchestrator = await start();
    const me = await (await call('/v1/me')).json();
    expect(me, `start ${round}`).toMatchObject({
      user: { email: 'operator@localhost', role: 'operator', name: 'Local operator' },
      balance: { available_micros: '100000000', play_money: true },
    });
    // A stream and its reader do not hold up the end.
    const made = await call('/v1/jobs', {
      method: 'POST',
      body: JSON.stringify({ image: 'x', max_price_per_hour_micros: '0' }),
      headers: { 'idempotency-key': `job ${round}`.replace(' ', '-') },
    });
    const { id } = (await made.json()) as { id: string };
    const stream = await call(`/v1/jobs/${id}/stream`);
    expect(stream.status).toBe(200);
    expect(await orchestrator.stop()).toBe(0);
    await stream.text().catch(() => ''); // cut, which is what a stopped server does to a stream
  }
});

test('a taken port ends it with 1 and a sentence that names the setting', async () => {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  try {
    const orchestrator = spawnOrchestrator(settings());
    running.push(orchestrator);
    expect(await withDeadline(orchestrator.ended, 60_000, 'giving up')).toBe(1);
    expect(orchestrator.output()).toContain(`Port ${port} on 127.0.0.1 is taken`);
    expect(orchestrator.output()).toContain('ORCHESTRATOR_PORT');
  } finally {
    server.close();
  }
});

test('wrong settings end it with 2, all of them named and no secret shown', async () => {
  const orchestrator = spawnOrchestrator({
    ...settings(),
    ORCHESTRATOR_PORT: '99999',
    MAX_ATTEMPTS: 'many',
    COMPUTEFABRIC_OPERATOR_TOKEN: 'hunter2-canary',
  });
  running.push(orchestrator);
  expect(await withDeadline(orchestrator.ended, 60_000, 'giving up')).toBe(2);
  for (const name of ['ORCHESTRATOR_PORT', 'MAX_ATTEMPTS', 'COMPUTEFABRIC_OPERATOR_TOKEN']) {
    expect(orchestrator.output()).toContain(name);
  }
  expect(orchestrator.output()).not.toContain('canary');
});

test('no secret gets into the log, at the most talkative level, also when the database refuses (R37)', async () => {
  const orchestrator = await start();
  const canary = 'canary-3fb1c6';
  const made = await call('/v1/api-keys', {
    method: 'POST',
    body: JSON.stringify({ name: 'k' }),
    headers: { 'idempotency-key': 'key' },
  });
  const { token } = (await made.json()) as { token: string };
  const wrong = newBearer('user').token;
  expect((await call('/v1/me', {}, token)).status).toBe(200);
  expect((await call('/v1/me', {}, wrong)).status).toBe(401);
  const spec = { image: 'x', env: { API_KEY: canary }, command: canary, max_price_per_hour_micros: '0' };
  const submit = (key: string, body: unknown) =>
    call('/v1/jobs', { method: 'POST', body: JSON.stringify(body), headers: { 'idempotency-key': key } });
  expect((await submit('a', spec)).status).toBe(201);
  expect((await submit('b', { ...spec, env: { 'A-B': canary }, oops: canary })).status).toBe(400);
  expect((await call(`/v1/jobs?q=${canary}`)).status).toBe(200);
  // A statement that fails inside the database carries its parameters in what the driver throws.
  const { createDb } = await import('@computefabric/db/client');
  const db = createDb(database.url);
  await db.pool.query(`alter table jobs add constraint refuse_all check (image <> 'refused') not valid`);
  const failed = await submit('c', { ...spec, image: 'refused' });
  expect(failed.status).toBe(500);
  expect(await failed.text()).not.toContain(canary);
  await db.close();
  expect(await orchestrator.stop()).toBe(0);
  const log = orchestrator.output();
  expect(log).toContain('refuse_all'); // the log says what went wrong …
  expect(log.split('\n').length).toBeGreaterThan(6);
  for (const secret of [canary, operator.slice(-43), token.slice(-43), wrong.slice(-43)]) {
    expect(log.includes(secret), `the log has ${secret.slice(0, 4)}…`).toBe(false); // … and not with what
  }
});
