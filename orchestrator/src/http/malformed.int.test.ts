import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestDatabase } from '@computefabric/db/testing';
import { bearerToken, hashSecret, newBearer, newSecret } from '@computefabric/protocol/api-key';
import { allContracts } from '@computefabric/protocol/contracts';
import { errorBody } from '@computefabric/protocol/error-codes';
import { limits } from '@computefabric/protocol/limits';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { testInventory } from '../testing/market-fixture.ts';
import {
  freePort,
  type OrchestratorProcess,
  spawnOrchestrator,
  untilReady,
} from '../testing/orchestrator-process.ts';

// A process of its own takes its time to start on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let port: number;
let url: string;
const token = newBearer('user').token;
let home: string;
let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orchestrator: OrchestratorProcess;
let credential: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'cf-malformed-'));
  database = await createTestDatabase();
  port = await freePort();
  url = `http://127.0.0.1:${port}`;
  orchestrator = spawnOrchestrator({
    ORCHESTRATOR_PORT: String(port),
    COMPUTEFABRIC_HOME: home,
    DATABASE_URL: database.url,
    COMPUTEFABRIC_OPERATOR_TOKEN: token,
    LOG_LEVEL: 'error',
  });
  await untilReady(url, orchestrator);
  const call = async (path: string, bearer: string, body: object) => {
    const headers = { ...json, authorization: `Bearer ${bearer}` };
    const response = await send(path, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(response.status, path).toBeLessThan(300);
    return (await response.json()) as Record<string, string>;
  };
  // Something that the requests below can meet: a job, and a machine with a session.
  await call('/v1/jobs', token, { name: 'met', image: 'x', max_price_per_hour_micros: '0' });
  const joinToken = (await call('/v1/join-tokens', token, {})).token ?? '';
  const secret = newSecret();
  const machine = { name: 'm', agent_version: '1', secret_hash: hashSecret(secret) };
  const { provider_id = '' } = await call('/provider/v1/enroll', joinToken, machine);
  credential = bearerToken('provider', provider_id.slice('prov_'.length), secret);
  await call('/provider/v1/hello', credential, { agent_version: '1', inventory: testInventory, tasks: [] });
});
afterAll(async () => {
  await orchestrator.stop();
  await database.close();
  await rm(home, { recursive: true, force: true });
});

const send = (path: string, init: Init = {}) =>
  fetch(`${url}${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${token}`,
      'idempotency-key': randomBytes(8).toString('hex'),
      ...init.headers,
    },
  });
type Init = Omit<RequestInit, 'headers'> & { headers?: Record<string, string>; duplex?: 'half' };
const json = { 'content-type': 'application/json' };
const post = (
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  headers: Record<string, string> = json,
) => send('/v1/jobs', { method: 'POST', body, headers, duplex: 'half' });

async function codeOf(response: Response): Promise<string> {
  return errorBody.parse(await response.json()).error.code;
}

describe('each kind of bad body has its own answer', () => {
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  const cases: [what: string, send: () => Promise<Response>, status: number, code: string][] = [
    ['no body', () => post('', json), 400, 'request/malformed-json'],
    ['half a body', () => post('{"image": "x"'), 400, 'request/malformed-json'],
    [
      'bytes that are not UTF-8',
      () => post(new Uint8Array([0x22, 0xff, 0x22])),
      400,
      'request/malformed-json',
    ],
    ['a bare value', () => post('7'), 400, 'request/invalid'],
    ['a list', () => post('[]'), 400, 'request/invalid'],
    ['no content type', () => post('{}', { 'content-type': '' }), 415, 'request/unsupported-media-type'],
    [
      'a form',
      () => post('a=1', { 'content-type': 'application/x-www-form-urlencoded' }),
      415,
      'request/unsupported-media-type',
    ],
    [
      'a compressed body',
      () => post('{}', { ...json, 'content-encoding': 'gzip' }),
      415,
      'request/unsupported-media-type',
    ],
    ['nesting at the limit', () => post(nested(limits.jsonDepth)), 400, 'request/invalid'],
    ['nesting beyond the limit', () => post(nested(limits.jsonDepth + 1)), 400, 'request/too-deep'],
    [
      'a hundred thousand brackets',
      () => post('['.repeat(100_000) + ']'.repeat(100_000)),
      400,
      'request/too-deep',
    ],
    [
      'NUL in a text',
      () => post('{"image":"x","requirements":{"gpu_models":["a\\u0000"]}}'),
      400,
      'request/invalid',
    ],
    ['half a character', () => post('{"image":"x","env":{"A":"\\ud800"}}'), 400, 'request/invalid'],
    ['a prototype as a field', () => post('{"image":"x","env":{"__proto__":"x"}}'), 400, 'request/invalid'],
    [
      'a body a byte too long',
      () => post(`"${'x'.repeat(limits.jsonBodyBytes - 1)}"`),
      413,
      'request/too-large',
    ],
    ['a long body of unknown length', () => post(endless(3_000_000)), 413, 'request/too-large'],
  ];
  test.each(cases)('%s', async (_what, request, status, code) => {
    const response = await request();
    expect(response.status).toBe(status);
    expect(await codeOf(response)).toBe(code);
  });

  test('a body of exactly the limit is read', async () => {
    const response = await post(`"${'x'.repeat(limits.jsonBodyBytes - 2)}"`);
    expect(await codeOf(response)).toBe('request/invalid');
  });
});

test('numbers that no column can hold are refused, wherever a stranger may write one', async () => {
  const huge = 2 ** 40;
  const call = (path: string, value: object) =>
    send(path, {
      method: 'POST',
      headers: {
        ...json,
        authorization: `Bearer ${credential}`,
        'computefabric-session': '1',
        'computefabric-fence': '1',
      },
      body: JSON.stringify(value),
    });
  const lease = `/provider/v1/leases/lease_${'0'.repeat(26)}`;
  const hello = (change: object) => ({
    agent_version: '1',
    inventory: { ...testInventory, ...change },
    tasks: [],
  });
  const bodies: [string, object][] = [
    ['/provider/v1/hello', hello({ memory_mib: huge })],
    ['/provider/v1/hello', hello({ disk_free_mib: huge })],
    ['/provider/v1/hello', hello({ cpus: huge })],
    [`${lease}/exited`, { exit_code: huge }],
    [`${lease}/ended`, { reason: 'exited-zero', detail: null, exit_code: -huge, log_chunks: 0 }],
  ];
  for (const [path, value] of bodies) {
    const response = await call(path, value);
    expect(await codeOf(response), `${path} ${JSON.stringify(value)}`).toBe('request/invalid');
  }
  expect((await send(`/v1/jobs/met/logs?attempt=${huge}`)).status).toBe(200);
  expect((await send('/v1/jobs?since=0000-01-01T00:00:00Z')).status).toBe(200);
});

test('404 and 405 have the same form as every error, and 405 names what the address takes', async () => {
  const nowhere = await send('/v1/nowhere');
  expect([nowhere.status, await codeOf(nowhere)]).toEqual([404, 'request/not-found']);
  const method = await send('/v1/jobs', { method: 'DELETE' });
  expect([method.status, await codeOf(method)]).toEqual([405, 'request/method-not-allowed']);
  expect(method.headers.get('allow')?.split(', ').toSorted()).toEqual(['GET', 'POST']);
  const options = await send('/v1/jobs', { method: 'OPTIONS' });
  expect(options.status).toBe(405);
});

test('bytes that are not HTTP, and headers that are too long, get an answer and a closed connection', async () => {
  expect(await raw('NOT HTTP AT ALL\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await raw(`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 431 /,
  );
  expect(await raw('GET /v1/jobs HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /); // no host
});

test('1,000 malformed requests: never a 5xx, no crash, memory within 20 MB (R46)', async () => {
  const statuses = new Map<number, number>();
  const fire = async (path: string, method: string, body: string | null, given: Record<string, string>) => {
    const bearer = path.startsWith('/provider/') ? credential : token;
    const headers = { authorization: `Bearer ${bearer}`, ...given };
    const init = { method, headers, ...(body === null || method === 'GET' ? {} : { body }) };
    const response = await send(path, { ...init, signal: AbortSignal.timeout(40_000) });
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) await response.body?.cancel();
    else await response.text();
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    expect(response.status, `${method} ${path} ${body?.slice(0, 500)}`).toBeLessThan(500);
  };
  const run = (numRuns: number, seed?: number) =>
    fc.assert(
      fc.asyncProperty(request, async ([path, method, body, headers]) => fire(path, method, body, headers)),
      { numRuns, ...(seed === undefined ? {} : { seed }) },
    );
  await run(500); // warm: what is compiled and cached once is not growth
  const before = await orchestrator.residentBytes();
  await run(1_000);
  const grown = (await orchestrator.residentBytes()) - before;
  expect(grown).toBeLessThan(20 * 1_048_576);
  expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(1_500);
  expect(statuses.get(400) ?? 0).toBeGreaterThan(500);
  expect(statuses.get(401) ?? 0).toBeLessThan(300);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(orchestrator.output()).not.toContain('request failed');
}, 180_000);

/** Anything that a broken or hostile client might put into a field. */
const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    null,
    true,
    '',
    -1,
    0,
    1e308,
    2 ** 53,
    '\u0000',
    '\ud800',
    '../..',
    '%00',
    '1e9',
    "'; drop table jobs; --",
  ),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.jsonValue({ maxDepth: 6 }),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
  fc.array(fc.string({ unit: 'binary' }), { maxLength: 300 }),
);

const specFields =
  'name image command env requirements time_limit_seconds queue_timeout_seconds max_price_per_hour_micros ' +
  'expires_in_seconds inventory tasks agent_version reason __proto__';
const nearlyASpec = fc
  .dictionary(fc.oneof(fc.constantFrom(...specFields.split(' ')), fc.string()), junk, { maxKeys: 8 })
  .map((fields) => ({ image: 'busybox', max_price_per_hour_micros: '0', ...fields }));

const body = fc.oneof(
  nearlyASpec.map((value) => JSON.stringify(value)),
  junk.map((value) => JSON.stringify(value)),
  nearlyASpec.chain((value) => {
    const text = JSON.stringify(value);
    return fc.nat(text.length).map((cut) => text.slice(0, cut));
  }),
  fc.string({ unit: 'binary' }),
  fc.constant(null),
);

/** A text that fetch takes as part of an address. */
const pathPart = fc.oneof(
  fc
    .string({ unit: 'binary', minLength: 1, maxLength: 40 })
    .map((text) => encodeURIComponent(text.replace(/\p{Surrogate}/gu, 'x'))),
  fc.constantFrom(
    '%',
    '%ff',
    '%00',
    '..',
    'job_',
    `job_${'0'.repeat(26)}`,
    'met',
    'x'.repeat(2_000),
    '%F0%9F%92%A9',
  ),
);
const queryNames = [
  'cursor',
  'limit',
  'state',
  'q',
  'since',
  'attempt',
  'first_seq',
  'path',
  'sha256',
  'size_bytes',
  'gpus',
  'x',
];
const query = fc
  .array(
    fc.tuple(
      fc.constantFrom(...queryNames),
      fc.oneof(
        pathPart,
        fc.constantFrom(
          '0',
          '-1',
          '1e99',
          '0001-01-01T00:00:00Z',
          '0000-01-01T00:00:00Z',
          '9999-12-31T23:59:59Z',
          '1.99999999.1',
          '4294967296',
        ),
      ),
    ),
    { maxLength: 4 },
  )
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('&'));

const headerText = fc.string({ maxLength: 200 }).map((text) => text.replace(/[^\x20-\x7e]/g, '').trim());
const headers = fc.record(
  {
    'content-type': fc.constantFrom(
      'application/json',
      'application/json; charset=utf-16',
      'text/plain',
      'application/octet-stream',
    ),
    'idempotency-key': headerText,
    'last-event-id': headerText,
    'x-request-id': headerText,
    range: headerText,
    'computefabric-session': fc.constantFrom('1', '1', '0', 'x', '9'.repeat(15)),
    'computefabric-fence': fc.constantFrom('1', '0', 'x', '9'.repeat(15)),
  },
  { requiredKeys: ['content-type'] },
);

const request = fc
  .tuple(
    fc.constantFrom(...allContracts),
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
    fc.boolean(),
  )
  .chain(([contract, otherMethod, misuse]) =>
    fc.tuple(
      fc.tuple(fc.array(pathPart, { minLength: 2, maxLength: 2 }), query).map(([parts, text]) => {
        let index = 0;
        const path = contract.path.replace(/\{\w+\}/g, () => parts[index++] ?? 'x');
        return `${path}?${text}`;
      }),
      fc.constant(misuse ? otherMethod : contract.method),
      body,
      headers,
    ),
  );

function endless(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      const size = Math.min(left, 65_536);
      left -= size;
      if (size === 0) controller.close();
      else controller.enqueue(new Uint8Array(size).fill(0x20));
    },
  });
}

function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}
