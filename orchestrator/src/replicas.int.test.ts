import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestDatabase } from '@computefabric/db/testing';
import { bearerToken, hashSecret, newBearer, newSecret } from '@computefabric/protocol/api-key';
import * as sessionApi from '@computefabric/protocol/provider-api/v1/session';
import { createJob } from '@computefabric/protocol/user-api/jobs';
import { createJoinToken } from '@computefabric/protocol/user-api/machines';
import type { JobId } from '@computefabric/protocol/ids';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { z } from 'zod';
import { testInventory } from './testing/market-fixture.ts';
import {
  freePort,
  type OrchestratorProcess,
  spawnOrchestrator,
  untilReady,
} from './testing/orchestrator-process.ts';

// Processes of their own take their time to start on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const operator = newBearer('user').token;
let home: string;
let database: Awaited<ReturnType<typeof createTestDatabase>>;
const replicas: { process: OrchestratorProcess; url: string }[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'cf-replicas-'));
  database = await createTestDatabase();
  for (let count = 0; count < 2; count += 1) {
    const port = await freePort();
    const process = spawnOrchestrator({
      ORCHESTRATOR_PORT: String(port),
      COMPUTEFABRIC_HOME: home,
      DATABASE_URL: database.url,
      COMPUTEFABRIC_OPERATOR_TOKEN: operator,
      LOG_LEVEL: 'info',
    });
    const url = `http://127.0.0.1:${port}`;
    replicas.push({ process, url });
    await untilReady(url, process);
  }
});
afterAll(async () => {
  for (const { process } of replicas) await process.stop('SIGKILL');
  await database.close();
  await rm(home, { recursive: true, force: true });
});

async function post(url: string, path: string, token: string, json: unknown, headers = {}): Promise<unknown> {
  const answer = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': randomUUID(),
      ...headers,
    },
    body: JSON.stringify(json),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return await answer.json();
}

/** A machine that joins at one replica and may then speak to any. */
async function joinMarket(url: string) {
  const { token } = parse(createJoinToken.reply, await post(url, '/v1/join-tokens', operator, {}));
  const secret = newSecret();
  const body = { name: 'machine', agent_version: '1', secret_hash: hashSecret(secret) };
  const { provider_id } = parse(sessionApi.enroll.reply, await post(url, '/provider/v1/enroll', token, body));
  const credential = bearerToken('provider', provider_id.slice('prov_'.length), secret);
  const hello = { agent_version: '1', inventory: testInventory, tasks: [] };
  const { session } = parse(sessionApi.hello.reply, await post(url, '/provider/v1/hello', credential, hello));
  /** Asks for offers at a replica until this job is among them. */
  return async (at: string, job: JobId) => {
    const headers = { 'computefabric-session': String(session) };
    for (;;) {
      const answer = await post(at, '/provider/v1/poll', credential, {}, headers);
      if (parse(sessionApi.poll.reply, answer).offers.some(({ job_id }) => job_id === job)) return;
    }
  };
}

function parse<T extends z.ZodType>(schema: T | undefined, value: unknown): z.output<T> {
  if (!schema) throw new Error('the contract has a reply');
  return schema.parse(value);
}

const submit = async (url: string) =>
  parse(createJob.reply, await post(url, '/v1/jobs', operator, { image: 'busybox', command: 'true' })).id;

test('any of two orchestrators serves anybody, one matches, and when it is killed the other does within seconds', async () => {
  const [first, second] = replicas;
  if (!first || !second) throw new Error('two were started');
  const poll = await joinMarket(first.url);

  // Submitted at the one that does not lead, offered to a machine that asks the other.
  const early = await submit(second.url);
  await poll(first.url, early);
  expect(first.process.output()).toContain('leads the market');
  expect(second.process.output()).not.toContain('leads the market');

  first.process.child.kill('SIGKILL');
  const killedAt = performance.now();
  const late = await submit(second.url);
  await poll(second.url, late);
  expect(performance.now() - killedAt).toBeLessThan(10_000);
  expect(second.process.output()).toContain('leads the market');
});
