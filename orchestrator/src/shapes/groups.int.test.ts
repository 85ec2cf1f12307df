import { jobEvents } from '@computefabric/db/schema/job-events';
import { jobGroups } from '@computefabric/db/schema/job-groups';
import { jobs } from '@computefabric/db/schema/jobs';
import { ledgerTransfers } from '@computefabric/db/schema/ledger-transfers';
import type { JobState } from '@computefabric/protocol/job-state';
import { poll } from '@computefabric/protocol/provider-api/v1/session';
import * as groupsApi from '@computefabric/protocol/user-api/groups';
import * as jobsApi from '@computefabric/protocol/user-api/jobs';
import { and, asc, count, eq, inArray } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { errorOf, parsed } from '../testing/replies.ts';
import { TestAgent, TestTask } from '../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { releaseAfter } from './release-blocked.ts';

let market: TestMarket;
let renter: TestUser;
let owner: TestUser;

beforeAll(async () => {
  market = await startTestMarket();
  owner = await market.addUser();
});
afterAll(() => market.close());
beforeEach(async () => {
  renter = await market.addUser();
});

const agents: TestAgent[] = [];
async function join(inventory: Parameters<typeof TestAgent.join>[2]) {
  const agent = await TestAgent.join(market, owner, inventory);
  agents.push(agent);
  return agent;
}
// What a test left undone must not meet the machines of the next one.
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.call('/goodbye', { leaving: true });
});

const deps = () => ({ db: market.db, settings: market.config.leases });
const spec = { image: 'busybox', time_limit_seconds: 60 };
/** No machine is there: it stays queued. */
const queueOnly = { requirements: { regions: ['nowhere'] } };

async function submitGroup(json: object, user = renter) {
  const answer = await market.call('/v1/groups', { method: 'POST', token: user.token, json });
  return parsed(groupsApi.createGroup.reply, answer);
}
async function submit(json: object = {}) {
  const answer = await market.call('/v1/jobs', {
    method: 'POST',
    token: renter.token,
    json: { ...spec, ...json },
  });
  return parsed(jobsApi.createJob.reply, answer);
}
async function group(ref: string) {
  return parsed(groupsApi.getGroup.reply, await market.call(`/v1/groups/${ref}`, { token: renter.token }));
}
async function job(ref: string) {
  const answer = await market.call(`/v1/jobs/${encodeURIComponent(ref)}`, { token: renter.token });
  return parsed(jobsApi.getJob.reply, answer);
}
const cancel = (path: string) => market.call(`${path}/cancel`, { method: 'POST', token: renter.token });
const state = (ref: string, wanted: JobState) =>
  waitUntil(`${ref} is ${wanted}`, async () => (await job(ref)).state === wanted);

/** Takes the next offer, and gives what the program would be told with it. */
async function take(agent: TestAgent) {
  for (;;) {
    const { offers } = parsed(poll.reply, await agent.call('/poll', {}));
    const [offer] = offers;
    if (!offer) continue;
    const task = new TestTask(agent, offer.lease_id, offer.fence);
    await task.call('/accept', {});
    return { task, offer };
  }
}

async function memberStates(name: string): Promise<JobState[]> {
  const rows = await market.db
    .select({ state: jobs.state })
    .from(jobs)
    .innerJoin(jobGroups, eq(jobGroups.id, jobs.groupId))
    .where(and(eq(jobGroups.name, name), eq(jobGroups.userId, renter.userId)))
    .orderBy(asc(jobs.groupIndex));
  return rows.map((row) => row.state);
}

describe('an array', () => {
  test('runs every member once with its index, at most so many at a time, under one id and on one bill', async () => {
    const agent = await join({ cpus: 8 });
    const made = await submitGroup({ spec: { ...spec, name: 'six' }, array: { count: 6, max_parallel: 2 } });
    expect(made).toMatchObject({ size: 6, state: 'active', counts: { queued: 2, blocked: 4 } });
    const indexes = new Set<string>();
    for (let round = 0; round < 3; round += 1) {
      const pair = [await take(agent), await take(agent)];
      const open = (await memberStates('six')).filter((each) =>
        ['queued', 'preparing', 'running', 'finishing'].includes(each),
      );
      expect(open).toHaveLength(2);
      for (const { task, offer } of pair) {
        expect(offer.variables).toMatchObject({
          COMPUTEFABRIC_ARRAY_SIZE: '6',
          COMPUTEFABRIC_GROUP_ID: made.id,
        });
        indexes.add(offer.variables.COMPUTEFABRIC_ARRAY_INDEX ?? '');
        await task.start();
        await task.finish();
      }
    }
    expect([...indexes].toSorted()).toEqual(['0', '1', '2', '3', '4', '5']);
    const ended = await waitUntil('one bill', async () => {
      const view = await group('six');
      return view.cost.unsettled === 0 && view;
    });
    expect(ended).toMatchObject({ state: 'succeeded', counts: { succeeded: 6 }, failures: [] });
    const members = await Promise.all([0, 1, 2, 3, 4, 5].map((index) => job(`six/${index}`)));
    const sum = members.reduce((all, member) => all + BigInt(member.cost_micros), 0n);
    expect(BigInt(ended.cost.accrued_micros)).toBe(sum);
    expect(members[3]).toMatchObject({ name: 'six-3', group: { name: 'six', index: 3, size: 6 } });
  });

  test('a sweep gives each combination to one member as variables of its program', async () => {
    const made = await submitGroup({
      spec: { ...spec, ...queueOnly, name: 'sweep', env: { A: '1' } },
      array: { matrix: { lr: [0.1, 0.01], seed: [1, 2] }, max_parallel: 1 },
    });
    expect(made.size).toBe(4);
    const env = await Promise.all([0, 1, 2, 3].map(async (index) => (await job(`sweep/${index}`)).env));
    expect(env).toEqual([
      { A: '1', lr: '0.1', seed: '1' },
      { A: '1', lr: '0.1', seed: '2' },
      { A: '1', lr: '0.01', seed: '1' },
      { A: '1', lr: '0.01', seed: '2' },
    ]);
    const listed = await market.call('/v1/jobs?group=sweep', { token: renter.token });
    expect(parsed(jobsApi.listJobs.reply, listed).items.map((item) => item.group?.index)).toEqual([
      3, 2, 1, 0,
    ]);
    const alone = await market.call('/v1/jobs?ungrouped=true', { token: renter.token });
    expect(parsed(jobsApi.listJobs.reply, alone).items).toEqual([]);
  });

  test('that the balance does not cover is refused whole: no member, no hold, and the name stays free', async () => {
    const poor = await market.addUser({ micros: 50_000n }); // a minute of a core costs 16,667 at most
    const body = { spec: { ...spec, ...queueOnly, name: 'costly' }, array: { count: 4 } };
    const answer = await market.call('/v1/groups', { method: 'POST', token: poor.token, json: body });
    expect(errorOf(answer).code).toBe('ledger/insufficient-funds');
    const [written] = await market.db
      .select({ jobs: count() })
      .from(jobs)
      .where(eq(jobs.userId, poor.userId));
    expect(written?.jobs).toBe(0);
    expect((await submitGroup({ ...body, array: { count: 2 } }, poor)).size).toBe(2);
  });

  test('the same call again gives the same group; a name of a job or a group is taken for both', async () => {
    const json = { spec: { ...spec, ...queueOnly, name: 'twice' }, array: { count: 2 } };
    const headers = { 'idempotency-key': 'same' };
    const [first, second] = await Promise.all(
      [1, 2].map(() => market.call('/v1/groups', { method: 'POST', token: renter.token, json, headers })),
    );
    expect(second?.text).toBe(first?.text);
    const asJob = { ...spec, name: 'twice' };
    const answer = await market.call('/v1/jobs', { method: 'POST', token: renter.token, json: asJob });
    expect(errorOf(answer)).toMatchObject({ code: 'job/name-taken' });
    await submit({ ...queueOnly, name: 'single' });
    const again = { spec: { ...spec, name: 'single' }, array: { count: 2 } };
    const refused = await market.call('/v1/groups', { method: 'POST', token: renter.token, json: again });
    expect(errorOf(refused)).toMatchObject({ code: 'job/name-taken', fields: [{ path: 'spec.name' }] });
  });

  test('what is too large to write down for each member is refused before anything is written', async () => {
    const json = { spec: { ...spec, command: 'x'.repeat(60_000) }, array: { count: 10_000 } };
    const answer = await market.call('/v1/groups', { method: 'POST', token: renter.token, json });
    expect(errorOf(answer)).toMatchObject({ code: 'request/invalid', fields: [{ path: 'array' }] });
  });

  test('however many look at it at the same time, no more members than allowed leave blocked', async () => {
    const { id } = await submitGroup({
      spec: { ...spec, ...queueOnly, name: 'narrow' },
      array: { count: 40, max_parallel: 3 },
    });
    for (let round = 0; round < 6; round += 1) {
      const [next] = await market.db
        .select({ id: jobs.id })
        .from(jobs)
        .where(and(eq(jobs.groupId, id), eq(jobs.state, 'queued')))
        .limit(1);
      if (next) await cancel(`/v1/jobs/${next.id}`);
      await Promise.all(Array.from({ length: 6 }, () => releaseAfter(deps(), new Set([id]))));
      const states = await memberStates('narrow');
      expect(states.filter((each) => each === 'queued')).toHaveLength(3);
    }
    const events = await market.db
      .select({ type: jobEvents.type, seq: jobEvents.seq })
      .from(jobEvents)
      .innerJoin(jobs, eq(jobs.id, jobEvents.jobId))
      .where(and(eq(jobs.groupId, id), inArray(jobEvents.type, ['unblocked'])));
    expect(events).toHaveLength(6); // each member's turn came once
  });
});

describe('a job that comes after others', () => {
  test('waits, says for whom, and is queued when all have ended as they must', async () => {
    const agent = await join({ cpus: 8 });
    await submit({ name: 'prepare' });
    const train = await submit({ ...queueOnly, name: 'train', after: [{ job: 'prepare' }] });
    expect(train).toMatchObject({ state: 'blocked', after: [{ name: 'prepare', state: 'open' }] });
    expect(train.waits_for).toEqual(['prepare must succeed; it has not ended yet.']);
    const { task } = await take(agent);
    await task.start();
    await task.finish();
    await state('train', 'queued');
    expect((await job('train')).after).toMatchObject([{ state: 'met' }]);
    const late = await submit({ ...queueOnly, after: [{ job: 'prepare' }, { job: 'train', when: 'any' }] });
    expect(late.after.map((each) => each.state)).toEqual(['met', 'open']);
    expect((await submit({ ...queueOnly, after: [{ job: 'prepare' }] })).state).toBe('queued');
  });

  test('ends without having run when it can no longer start, and so does everything after it; the money comes back', async () => {
    await submit({ ...queueOnly, name: 'first' });
    await submit({ ...queueOnly, name: 'second', after: [{ job: 'first' }] });
    await submit({ ...queueOnly, name: 'third', after: [{ job: 'second' }] });
    await submitGroup({
      spec: { ...spec, ...queueOnly, name: 'fan', after: [{ job: 'second' }] },
      array: { count: 3 },
    });
    await submit({
      ...queueOnly,
      name: 'cleanup',
      after: [
        { job: 'fan', when: 'failure' },
        { job: 'third', when: 'any' },
      ],
    });
    await cancel('/v1/jobs/first');
    await state('third', 'cancelled');
    expect(await job('third')).toMatchObject({ end_reason: 'dependency-failed', cost_micros: '0' });
    expect((await job('second')).end_message).toContain('first must succeed, and it did not');
    await waitUntil('fan has ended', async () => (await group('fan')).state === 'cancelled');
    await state('cleanup', 'queued');
    await cancel('/v1/jobs/cleanup');
    await waitUntil('nothing is held', async () => {
      const answer = await market.call('/v1/balance', { token: renter.token });
      return (JSON.parse(answer.text) as { held_micros: string }).held_micros === '0';
    });
  });

  test('can name only what exists, so there is no circle', async () => {
    const json = { ...spec, name: 'self', after: [{ job: 'self' }] };
    const answer = await market.call('/v1/jobs', { method: 'POST', token: renter.token, json });
    expect(errorOf(answer)).toMatchObject({ code: 'request/invalid', fields: [{ path: 'after[0].job' }] });
    const other = await market.addUser();
    await market.call('/v1/jobs', {
      method: 'POST',
      token: other.token,
      json: { ...spec, ...queueOnly, name: 'theirs' },
    });
    const foreign = { ...spec, after: [{ job: 'theirs' }] };
    const refused = await market.call('/v1/jobs', { method: 'POST', token: renter.token, json: foreign });
    expect(errorOf(refused).code).toBe('request/invalid');
  });

  test('two that end at the same time release their common dependent, again and again', async () => {
    for (let round = 0; round < 4; round += 1) {
      const names = [0, 1, 2].map((index) => `end-${round}-${index}`);
      for (const name of names) await submit({ ...queueOnly, name });
      const after = names.map((name) => ({ job: name, when: 'any' }));
      await submit({ ...queueOnly, name: `join-${round}`, after });
      await submit({
        ...queueOnly,
        name: `tail-${round}`,
        after: [...after, { job: `join-${round}`, when: 'any' }],
      });
      await Promise.all(names.map((name) => cancel(`/v1/jobs/${name}`)));
      await state(`join-${round}`, 'queued');
      await cancel(`/v1/jobs/join-${round}`);
      await state(`tail-${round}`, 'queued');
    }
  }, 60_000);
});

describe('a gang', () => {
  const two = (name: string) => ({ spec: { ...spec, name, requirements: { cpus: 3 } }, machines: 2 });
  let first: TestAgent;
  let second: TestAgent;
  beforeEach(async () => {
    first = await join({ cpus: 4 });
  });

  test('starts on all of its machines or on none, and each rank knows its place and its peers', async () => {
    await submitGroup(two('pair'));
    await submit({ name: 'probe', requirements: { cpus: 1 } });
    const probe = await take(first); // the gang was looked at before and left alone
    expect(probe.offer.variables).toEqual({});
    expect(await memberStates('pair')).toEqual(['queued', 'queued']);
    // The probe takes a core of it, and three are left for a rank.
    const why = (await job('pair/0')).waiting?.summary;
    expect(why).toBe('It needs 2 machines at the same time, and 1 machine has room for a rank now.');
    await probe.task.start();
    await probe.task.finish();
    second = await join({ cpus: 4 });
    const ranks = await Promise.all([take(first), take(second)]);
    const told = ranks
      .map(({ offer }) => offer.variables)
      .toSorted((a, b) => ((a.COMPUTEFABRIC_RANK ?? '') < (b.COMPUTEFABRIC_RANK ?? '') ? -1 : 1));
    expect(told.map((each) => each.COMPUTEFABRIC_RANK)).toEqual(['0', '1']);
    for (const each of told) {
      expect(each.COMPUTEFABRIC_WORLD_SIZE).toBe('2');
      expect(JSON.parse(each.COMPUTEFABRIC_PEERS ?? '')).toHaveLength(2);
    }
    for (const { task } of ranks) await task.start();
    for (const { task } of ranks) await task.finish();
    expect((await group('pair')).state).toBe('succeeded');
  });

  test('one rank that fails by itself ends the others', async () => {
    second = await join({ cpus: 4 });
    await submitGroup(two('brittle'));
    const [a, b] = await Promise.all([take(first), take(second)]);
    await a.task.start();
    await b.task.start();
    await a.task.finish(1);
    await waitUntil('the other is told to stop', async () => {
      const [told] = (await group('brittle')).failures;
      return told !== undefined && (await verdictOf(second, b)) === 'stop';
    });
    await stopped(b.task);
    await waitUntil('the gang has ended', async () => (await group('brittle')).state === 'failed');
    const failures = new Set((await group('brittle')).failures.map((each) => each.end_reason));
    expect(failures).toEqual(new Set(['exited-nonzero', 'peer-ended']));
  });

  test('one rank that is lost stops the others; all start again together, and the first start is free', async () => {
    second = await join({ cpus: 4 });
    await submitGroup(two('phoenix'));
    const [a, b] = await Promise.all([take(first), take(second)]);
    await a.task.start();
    await b.task.start();
    await a.task.call('/exited', { exit_code: null });
    await a.task.call('/ended', { reason: 'provider-error', detail: 'disk', exit_code: null, log_chunks: 0 });
    await a.task.call('/released', {});
    await waitUntil('the other is told to stop', async () => (await verdictOf(second, b)) === 'stop');
    await stopped(b.task);
    const again = await Promise.all([take(first), take(second)]);
    for (const { task } of again) await task.start();
    for (const { task } of again) await task.finish();
    await waitUntil('it has succeeded', async () => (await group('phoenix')).state === 'succeeded');
    for (const index of [0, 1]) {
      const rank = await job(`phoenix/${index}`);
      expect(rank.attempts).toBe(2);
      expect(rank.leases[0]).toMatchObject({ cost_micros: '0' });
    }
  });

  test('cancel stops all ranks', async () => {
    second = await join({ cpus: 4 });
    await submitGroup(two('unwanted'));
    const ranks = await Promise.all([take(first), take(second)]);
    for (const { task } of ranks) await task.start();
    await cancel('/v1/groups/unwanted');
    for (const [index, agent] of [first, second].entries()) {
      const rank = ranks[index];
      if (!rank) throw new Error('two ranks');
      await waitUntil('told', async () => (await verdictOf(agent, rank)) === 'stop');
      await stopped(rank.task);
    }
    await waitUntil('ended', async () => (await group('unwanted')).state === 'cancelled');
  });

  async function verdictOf(agent: TestAgent, { offer }: Awaited<ReturnType<typeof take>>) {
    const task = { lease_id: offer.lease_id, fence: offer.fence, task_state: 'running', progress: null };
    const answer = await agent.call('/heartbeat', { tasks: [task] });
    return (JSON.parse(answer.text) as { tasks: { verdict: string }[] }).tasks[0]?.verdict;
  }
  async function stopped(task: TestTask) {
    await task.call('/exited', { exit_code: 143 });
    await task.call('/ended', { reason: 'cancelled', detail: null, exit_code: 143, log_chunks: 0 });
    await task.call('/released', {});
  }
});

// At the end: thousands of bills keep the settle worker busy for a while.
test('thousands of members are written and cancelled in bounded time, and every hold ends', async () => {
  const rich = await market.addUser({ micros: 1_000_000_000n });
  renter = rich;
  await submitGroup({
    spec: { ...spec, ...queueOnly, name: 'huge' },
    array: { count: 2_500, max_parallel: 1 },
  });
  const counts = (await group('huge')).counts;
  expect(counts.blocked + counts.queued + counts.preparing).toBe(2_500);
  expect((await cancel('/v1/groups/huge')).status).toBe(200);
  await waitUntil('all cancelled', async () => (await group('huge')).state === 'cancelled', 30_000);
  expect((await group('huge')).counts.cancelled).toBe(2_500);
  const holds = await market.db
    .select({ holds: count() })
    .from(ledgerTransfers)
    .where(eq(ledgerTransfers.kind, 'hold'));
  expect(holds[0]?.holds).toBeGreaterThanOrEqual(2_500);
  expect(errorOf(await cancel('/v1/groups/huge')).code).toBe('group/already-final');
}, 60_000);
