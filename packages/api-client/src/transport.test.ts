import { newBearer } from '@computefabric/protocol/api-key';
import { createApiKey, getBalance, revokeApiKey } from '@computefabric/protocol/user-api/account';
import { cancelJob, createJob, getJob, listJobs } from '@computefabric/protocol/user-api/jobs';
import { createJoinToken } from '@computefabric/protocol/user-api/machines';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createClient } from './client.ts';
import { ApiError, UnexpectedReplyError, UnreachableError } from './errors.ts';
import { FakeMarket } from './testing/fake-market.ts';
import { sampleBalance, sampleJob } from './testing/sample-data.ts';

const { token } = newBearer('user');
const quick = { retries: 2, baseMs: 1, maxMs: 2_000 };
let market: FakeMarket;

beforeEach(async () => {
  market = await FakeMarket.start();
});
afterEach(() => market.stop());

function client(overrides: Partial<Parameters<typeof createClient>[0]> = {}) {
  return createClient({ baseUrl: market.url, token, retry: quick, ...overrides });
}

async function thrownBy(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error('should have been refused');
    },
    (thrown: unknown) => thrown,
  );
}

describe('requests', () => {
  test('a call fills path and query, and carries key, program and an idempotency key of its own', async () => {
    const job = sampleJob();
    market.on(getJob, () => job).on(listJobs, () => ({ items: [], next_cursor: null }));
    market.on(createJob, () => job);
    const cf = client({ userAgent: 'cfab/9', token: () => token });
    await cf.jobs.get('my job/1');
    await cf.jobs.list({ state: ['queued', 'running'], limit: 5, q: undefined });
    await cf.jobs.create({ image: 'busybox' });
    await cf.jobs.create({ image: 'busybox' });

    expect(market.seen(getJob)[0]).toMatchObject({
      path: '/v1/jobs/my%20job%2F1',
      params: { job: 'my job/1' },
      headers: { authorization: `Bearer ${token}`, 'user-agent': 'cfab/9' },
    });
    expect(market.seen(listJobs)[0]?.query).toEqual({ state: ['queued', 'running'], limit: 5 });
    const keys = market.seen(createJob).map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys).size).toBe(2);
  });

  test('a path in the base address is kept', async () => {
    const seen: string[] = [];
    const fetch: typeof globalThis.fetch = async (input) => {
      seen.push(input instanceof Request ? input.url : input.toString());
      return Response.json(sampleBalance());
    };
    await createClient({ baseUrl: 'http://market.test/api/', fetch }).account.balance();
    expect(seen).toEqual(['http://market.test/api/v1/balance']);
  });

  test('a job called .. cannot walk up the path', async () => {
    expect(await thrownBy(client().jobs.get('..'))).toBeInstanceOf(TypeError);
    expect(market.requests).toEqual([]);
  });

  test('a route without a reply gives nothing', async () => {
    market.on(revokeApiKey, () => undefined);
    await client().account.revokeApiKey('key_01h455vb4pex5vsknk084sn02q');
    expect(market.seen(revokeApiKey)).toHaveLength(1);
  });
});

describe('replies', () => {
  test('fields that a newer server adds are ignored, also inside a strict part', async () => {
    const job = sampleJob();
    const newer = { ...job, colour: 'red', requirements: { ...job.requirements, disk_gib: 5 } };
    market.on(getJob, () => (response) => void response.end(JSON.stringify(newer)));
    const got = await client().jobs.get(job.id);
    expect(got).toEqual(job);
  });

  test('an answer that is not what the contract says is refused and names the field', async () => {
    market.on(getBalance, () => (response) => {
      response.end(JSON.stringify({ ...sampleBalance(), held_micros: 1.5 }));
    });
    const error = await thrownBy(client().account.balance());
    expect(error).toBeInstanceOf(UnexpectedReplyError);
    expect(error).toMatchObject({ message: expect.stringMatching(/held_micros/) });
  });

  test('a refusal carries code, fields, details, advice and request id', async () => {
    market.on(createJob, () => ({
      refuse: 'request/invalid',
      fields: [{ path: 'requirements.gpus', message: 'must be at most 8' }],
      details: { limit: 8 },
    }));
    const error = await thrownBy(client().jobs.create({ image: 'x' }));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      status: 400,
      code: 'request/invalid',
      fields: [{ path: 'requirements.gpus', message: 'must be at most 8' }],
      details: { limit: 8 },
      retry: 'never',
      requestId: 'req-fake-1',
    });
    expect(market.seen(createJob)).toHaveLength(1);
  });

  test('a redirect is not followed: its target is named and gets no key', async () => {
    market.on(getBalance, () => (response) => {
      response.writeHead(301, { location: 'http://elsewhere.test/v1/balance' }).end();
    });
    const error = await thrownBy(client().account.balance());
    expect(error).toBeInstanceOf(UnexpectedReplyError);
    expect(error).toMatchObject({ message: expect.stringMatching(/elsewhere\.test/) });
  });
});

describe('repeats', () => {
  test('a call with an idempotency key is repeated with the same key until the server is back', async () => {
    let tries = 0;
    market.on(createJob, () => {
      tries += 1;
      if (tries === 1) return (response) => void response.destroy();
      return tries === 2 ? { refuse: 'server/busy' } : sampleJob();
    });
    const failures: unknown[] = [];
    await client().jobs.create({ image: 'x' }, { onTryFailed: (error) => failures.push(error) });
    expect(failures).toMatchObject([{ nothingSent: false }, { code: 'server/busy' }]);
    const keys = market.seen(createJob).map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  test('a call that may act twice is not repeated', async () => {
    market.on(cancelJob, () => ({ refuse: 'server/busy' }));
    expect(await thrownBy(client().jobs.cancel('a'))).toMatchObject({ code: 'server/busy' });
    expect(market.seen(cancelJob)).toHaveLength(1);
  });

  test('repeats are bounded', async () => {
    market.on(getBalance, () => ({ refuse: 'server/busy' }));
    expect(await thrownBy(client().account.balance())).toMatchObject({ status: 503 });
    expect(market.seen(getBalance)).toHaveLength(3);
  });

  test('Retry-After is waited for, and one that is too long is handed to the caller at once', async () => {
    let wait = '1';
    market.on(createJoinToken, () => ({ refuse: 'server/busy', headers: { 'retry-after': wait } }));
    const startedAt = performance.now();
    await thrownBy(client({ retry: { ...quick, retries: 1 } }).machines.createJoinToken());
    expect(performance.now() - startedAt).toBeGreaterThan(950);
    wait = '3600';
    const error = await thrownBy(client().machines.createJoinToken());
    expect(error).toMatchObject({ retryAfterMs: 3_600_000 });
    expect(market.seen(createJoinToken)).toHaveLength(3);
  });
});

describe('no answer', () => {
  test('a refused connection names the address and why', async () => {
    const { url } = market;
    await market.stop();
    const error = await thrownBy(createClient({ baseUrl: url, retry: quick }).account.balance());
    market = await FakeMarket.start();
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error).toMatchObject({
      code: 'ECONNREFUSED',
      nothingSent: true,
      message: `${url}/v1/balance refused the connection`,
    });
  });

  test('a host name that does not exist is not asked for again', async () => {
    let tries = 0;
    const fetch: typeof globalThis.fetch = async () => {
      tries += 1;
      throw new TypeError('fetch failed', {
        cause: Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }),
      });
    };
    const error = await thrownBy(
      createClient({ baseUrl: 'http://nowhere.invalid', fetch }).account.balance(),
    );
    expect(error).toMatchObject({
      name: 'UnreachableError',
      code: 'ENOTFOUND',
      message: expect.stringMatching(/host name/),
    });
    expect(tries).toBe(1);
  });

  test('a server that never answers, or stops in the middle of its answer, meets the deadline', async () => {
    market.on(getBalance, () => () => {});
    market.on(cancelJob, () => (response) => void response.write('{"id":'));
    const hasty = client({ deadlineMs: 100, retry: { retries: 0 } });
    expect(await thrownBy(hasty.account.balance())).toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringMatching(/within 0.1 s/),
    });
    expect(await thrownBy(hasty.jobs.cancel('a'))).toMatchObject({ code: 'TIMEOUT' });
  });

  test('the caller can stop a call, also while it waits to repeat', async () => {
    const stop = new AbortController();
    market.on(createApiKey, () => {
      setTimeout(() => stop.abort(new Error('enough')), 20);
      return { refuse: 'server/busy', headers: { 'retry-after': '2' } };
    });
    const error = await thrownBy(client().account.createApiKey({ name: 'k' }, { signal: stop.signal }));
    expect(error).toMatchObject({ message: 'enough' });
    expect(market.seen(createApiKey)).toHaveLength(1);
  });
});
