import { createJob, getJob, listJobEvents, listJobs } from '@computefabric/protocol/user-api/jobs';
import { getBalance, listPayments } from '@computefabric/protocol/user-api/account';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditLedger } from '../../ledger/audit.store.ts';
import { testCards } from '../../testing/market-fixture.ts';
import { errorOf, parsed } from '../../testing/replies.ts';
import { TestAgent } from '../../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../../testing/test-market.ts';
import { waitUntil } from '../../testing/wait-until.ts';

let market: TestMarket;
beforeAll(async () => {
  market = await startTestMarket({ DASHBOARD_URL: 'http://localhost:3000/' });
});
afterAll(() => market.close());

const submit = (user: TestUser, spec: object = {}, headers: Record<string, string> = {}) =>
  market.call('/v1/jobs', {
    method: 'POST',
    token: user.token,
    json: { image: 'busybox', ...spec },
    headers,
  });

const submitted = async (user: TestUser, spec: object = {}) =>
  parsed(createJob.reply, await submit(user, spec));

const job = async (user: TestUser, ref: string) =>
  parsed(getJob.reply, await market.call(`/v1/jobs/${ref}`, { token: user.token }));

/** Fits on no machine of these tests, so it stays queued. */
const unplaceable = { requirements: { gpus: 8 } };

describe('POST /v1/jobs', () => {
  test('201: the job is queued, its hold reserved, its defaults filled in, and it says why it waits', async () => {
    const user = await market.addUser();
    const answer = await submit(user, {
      ...unplaceable,
      image: 'docker.io/pytorch/pytorch:2.1',
      command: 'python x.py',
    });
    expect(answer.status).toBe(201);
    const made = parsed(createJob.reply, answer);
    expect(made).toMatchObject({
      state: 'queued',
      attempts: 0,
      time_limit_seconds: 3_600,
      requirements: { gpus: 8, cpus: 1, memory_mib: 1_024 },
      max_price_per_hour_micros: '1000000',
      cost: { hold_micros: '8000000', accrued_micros: '0', payment_state: 'pending', play_money: true },
      waiting: { position: expect.any(Number), summary: expect.any(String) },
      dashboard_url: `http://localhost:3000/jobs/${made.id}`,
    });
    expect(made.name).toMatch(/^pytorch-[0-9a-z]{4}$/);
    const balance = parsed(getBalance.reply, await market.call('/v1/balance', { token: user.token }));
    expect(balance).toMatchObject({ available_micros: '92000000', held_micros: '8000000' });
    const events = parsed(
      listJobEvents.reply,
      await market.call(`/v1/jobs/${made.id}/events`, { token: user.token }),
    );
    expect(events.items).toMatchObject([{ seq: 1, type: 'submitted', state: 'queued' }]);
  });

  test('400: every wrong field is named by its path, and a misspelt one with what was meant', async () => {
    const user = await market.addUser();
    const answer = await submit(user, {
      comand: 'x',
      command: ['ok', 3],
      env: { 'A-B': 'x', OK: 7 },
      requirements: { gpus: 99, cpu: 2 },
      time_limit_seconds: '60',
    });
    expect(answer.status).toBe(400);
    const error = errorOf(answer);
    expect(error.code).toBe('request/invalid');
    expect(Object.fromEntries((error.fields ?? []).map(({ path, message }) => [path, message]))).toEqual({
      comand: 'is not a known field; did you mean command?',
      'command[1]': 'must be a string',
      'env.A-B': 'is not a good name: it must be a variable name such as MODEL_PATH',
      'env.OK': 'must be a string',
      'requirements.gpus': 'must be at most 8',
      'requirements.cpu': 'is not a known field; did you mean cpus?',
      time_limit_seconds: 'must be a number',
    });
  });

  test('400: more money than the books can hold is refused as a wrong price', async () => {
    const user = await market.addUser();
    const answer = await submit(user, {
      requirements: { gpus: 8 },
      time_limit_seconds: 604_800,
      max_price_per_hour_micros: '999999999999999999',
    });
    expect(answer.status).toBe(400);
    expect(errorOf(answer).fields).toMatchObject([{ path: 'max_price_per_hour_micros' }]);
  });

  test('402: a balance that does not cover the hold buys nothing and reserves nothing', async () => {
    const user = await market.addUser({ micros: 999_999n });
    const answer = await submit(user);
    expect(answer.status).toBe(402);
    expect(errorOf(answer)).toMatchObject({
      code: 'ledger/insufficient-funds',
      details: { available_micros: '999999', needed_micros: '1000000' },
    });
    const balance = parsed(getBalance.reply, await market.call('/v1/balance', { token: user.token }));
    expect(balance).toMatchObject({ available_micros: '999999', held_micros: '0' });
    const jobs = parsed(listJobs.reply, await market.call('/v1/jobs', { token: user.token }));
    expect(jobs.items).toEqual([]);
  });

  test('409: a name may be used once in an account, and again in another one', async () => {
    const [one, other] = [await market.addUser(), await market.addUser()];
    await submitted(one, { name: 'train', ...unplaceable });
    const again = await submit(one, { name: 'train', ...unplaceable });
    expect(again.status).toBe(409);
    expect(errorOf(again).code).toBe('job/name-taken');
    expect((await submitted(other, { name: 'train', ...unplaceable })).name).toBe('train');
  });

  test('400 without an Idempotency-Key, or with one that is not visible ASCII of 1 to 128 characters', async () => {
    const user = await market.addUser();
    for (const key of ['', 'a b', 'x'.repeat(129)]) {
      const answer = await submit(user, {}, { 'idempotency-key': key });
      expect(errorOf(answer).code, key).toBe('request/idempotency-key-missing');
      expect(answer.status).toBe(400);
    }
  });
});

describe('repeats of a submit (R28)', () => {
  test('50 equal calls at once make one job and one hold, and all get the same answer', async () => {
    const user = await market.addUser();
    const headers = { 'idempotency-key': 'fifty' };
    const answers = await Promise.all(Array.from({ length: 50 }, () => submit(user, unplaceable, headers)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const jobs = parsed(listJobs.reply, await market.call('/v1/jobs', { token: user.token }));
    expect(jobs.items).toHaveLength(1);
    const balance = parsed(getBalance.reply, await market.call('/v1/balance', { token: user.token }));
    expect(balance.held_micros).toBe('8000000');
  });

  test('409 for the same key with another request; the same key of another user is another key', async () => {
    const [user, other] = [await market.addUser(), await market.addUser()];
    const headers = { 'idempotency-key': 'same' };
    const first = await submit(user, unplaceable, headers);
    const changed = await submit(user, { ...unplaceable, command: 'ls' }, headers);
    expect(changed.status).toBe(409);
    expect(errorOf(changed).code).toBe('request/idempotency-key-reused');
    const others = await submit(other, { ...unplaceable, command: 'ls' }, headers);
    expect(others.status).toBe(201);
    expect(others.text).not.toContain(parsed(createJob.reply, first).id);
  });

  test('a call that was refused leaves its key free', async () => {
    const user = await market.addUser({ micros: 1n });
    const headers = { 'idempotency-key': 'later' };
    expect((await submit(user, {}, headers)).status).toBe(402);
    expect((await submit(user, { max_price_per_hour_micros: '0' }, headers)).status).toBe(201);
  });
});

describe('GET /v1/jobs and /v1/jobs/{job}', () => {
  test('a job answers to its id, its name and a beginning of its id that fits no other', async () => {
    const user = await market.addUser();
    const made = await submitted(user, { name: 'first', ...unplaceable });
    for (const ref of [made.id, 'first', made.id.slice(0, 20)])
      expect((await job(user, ref)).id).toBe(made.id);
    await submitted(user, { name: 'second', ...unplaceable });
    const ambiguous = await market.call(`/v1/jobs/${made.id.slice(0, 8)}`, { token: user.token });
    expect(ambiguous.status).toBe(400);
    expect(errorOf(ambiguous).fields).toMatchObject([{ path: 'job' }]);
    for (const ref of ['job_', 'firs', made.id.slice(4), 'job_%25%25%25%25']) {
      const answer = await market.call(`/v1/jobs/${ref}`, { token: user.token });
      expect(errorOf(answer).code, ref).toBe('job/not-found');
      expect(answer.status).toBe(404);
    }
  });

  test('pages go newest first through every job exactly once, and filters narrow them', async () => {
    const user = await market.addUser();
    const names = ['alpha-one', 'alpha-two', 'alpha-three', 'beta-one', 'beta-two'];
    for (const name of names) await submitted(user, { name, ...unplaceable });
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`;
      const page = parsed(
        listJobs.reply,
        await market.call(`/v1/jobs?limit=2${query}`, { token: user.token }),
      );
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ name }) => name));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(seen).toEqual(names.toReversed());
    const found = async (query: string) =>
      parsed(listJobs.reply, await market.call(`/v1/jobs?${query}`, { token: user.token })).items.map(
        ({ name }) => name,
      );
    expect(await found('q=ALPHA-')).toEqual(['alpha-three', 'alpha-two', 'alpha-one']);
    expect(await found('q=%25')).toEqual([]);
    expect(await found('q=beta-o')).toEqual(['beta-one']);
    expect(await found('state=running,succeeded')).toEqual([]);
    expect(await found('state=queued&limit=1')).toEqual(['beta-two']);
    expect(await found('since=2099-01-01T00:00:00Z')).toEqual([]);
    expect((await found('since=2020-01-01T00:00:00Z')).length).toBe(5);
  });

  test('400 for a cursor, a state or a limit that is none', async () => {
    const user = await market.addUser();
    for (const query of [
      'cursor=x',
      'state=asleep',
      'limit=0',
      'limit=201',
      'since=yesterday',
      'nope=1',
      'limit=1&limit=2',
    ]) {
      const answer = await market.call(`/v1/jobs?${query}`, { token: user.token });
      expect(answer.status, query).toBe(400);
      expect(errorOf(answer).fields?.[0]?.path, query).toMatch(new RegExp(`^${query.split('=', 1)[0]}`));
    }
  });
});

describe('POST /v1/jobs/{job}/cancel', () => {
  test('a waiting job ends at once and gets all of its money back', async () => {
    const user = await market.addUser();
    const made = await submitted(user, unplaceable);
    const answer = await market.call(`/v1/jobs/${made.name}/cancel`, { method: 'POST', token: user.token });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({
      state: 'cancelled',
      end_reason: 'cancelled',
      waiting: null,
    });
    const settled = await waitUntil('the payment settles', async () => {
      const view = await job(user, made.id);
      return view.cost.payment_state === 'succeeded' && view;
    });
    expect(settled.cost.accrued_micros).toBe('0');
    const balance = parsed(getBalance.reply, await market.call('/v1/balance', { token: user.token }));
    expect(balance).toMatchObject({ available_micros: '100000000', held_micros: '0' });
    const again = await market.call(`/v1/jobs/${made.id}/cancel`, { method: 'POST', token: user.token });
    expect(again.status).toBe(409);
    expect(errorOf(again).code).toBe('job/already-final');
  });
});

describe('one job from submit to bill', () => {
  test('what runs is metered, the owner earns it, the rest of the hold comes back, and the books balance', async () => {
    const [renter, owner] = [await market.addUser(), await market.addUser()];
    const agent = await TestAgent.join(market, owner, { gpus: testCards(1) });
    const made = await submitted(renter, { requirements: { gpus: 1 }, time_limit_seconds: 600 });
    const task = await agent.acceptNext();
    await task.start();
    const running = await job(renter, made.id);
    expect(running).toMatchObject({
      state: 'running',
      waiting: null,
      cost: { billable: true, rate_per_hour_micros: '360000' },
      leases: [{ state: 'active', provider: { id: agent.providerId }, gpus: [{ simulated: true }] }],
    });
    const later = await waitUntil('the meter moves', async () => {
      const view = await job(renter, made.id);
      return BigInt(view.cost_micros) > 0n && view;
    });
    expect(Date.parse(later.cost.as_of)).toBeGreaterThan(Date.parse(running.cost.as_of));
    await task.print(['hello\n']);
    await task.finish(0);
    const ended = await waitUntil('the payment settles', async () => {
      const view = await job(renter, made.id);
      return view.cost.payment_state === 'succeeded' && view;
    });
    expect(ended).toMatchObject({ state: 'succeeded', end_reason: 'exited-zero', exit_code: 0, attempts: 1 });
    const cost = BigInt(ended.cost_micros);
    expect(cost).toBe((BigInt(ended.cost.billed_ms) * 360_000n) / 3_600_000n);
    expect(cost).toBeGreaterThan(0n);
    const renters = parsed(getBalance.reply, await market.call('/v1/balance', { token: renter.token }));
    const owners = parsed(getBalance.reply, await market.call('/v1/balance', { token: owner.token }));
    expect(BigInt(renters.available_micros)).toBe(100_000_000n - cost);
    expect(renters.held_micros).toBe('0');
    expect(BigInt(owners.earned_micros)).toBe(cost);
    const payments = parsed(listPayments.reply, await market.call('/v1/payments', { token: renter.token }));
    expect(payments.items).toMatchObject([
      { job_id: made.id, state: 'succeeded', amount_micros: String(cost), hold_micros: '166667' },
    ]);
    expect(await auditLedger(market.db)).toEqual([]);
  });
});
