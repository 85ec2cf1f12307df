import { createHash } from 'node:crypto';
import { hashSecret } from '@computefabric/protocol/api-key';
import type { Contract } from '@computefabric/protocol/contract';
import { allContracts } from '@computefabric/protocol/contracts';
import { newId } from '@computefabric/protocol/ids';
import { encodeLogFrames } from '@computefabric/protocol/log-frames';
import { listArtifacts } from '@computefabric/protocol/user-api/artifacts';
import { createJob } from '@computefabric/protocol/user-api/jobs';
import { createJoinToken } from '@computefabric/protocol/user-api/machines';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testCards, testInventory } from '../testing/market-fixture.ts';
import { errorOf, parsed } from '../testing/replies.ts';
import { TestAgent, type TestTask } from '../testing/test-agent.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { type CallOptions, startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';

/*
 * Who may do what: every route of the contracts × six callers. `owner` rents and owns the machine; `provider`
 * is that machine. A route without an entry here fails the first test, so nobody adds one without deciding.
 */

const roles = ['owner', 'other', 'operator', 'anonymous', 'provider', 'otherProvider'] as const;
type Role = (typeof roles)[number];
type Expected = Record<Role, number>;

/** An object of one person: for everybody else it is not there, for the operator too. */
const ownObject = (status: number): Expected => ({
  owner: status,
  other: 404,
  operator: 404,
  anonymous: 401,
  provider: 401,
  otherProvider: 401,
});
/** Something that each person does for themselves, or that all may see. */
const everyUser = (status: number): Expected => ({ ...ownObject(status), other: status, operator: status });
/** Public: whoever holds a receipt may check it. */
const everybody = (status: number): Expected => ({
  owner: status,
  other: status,
  operator: status,
  anonymous: status,
  provider: status,
  otherProvider: status,
});
const nobodyElse = { owner: 401, other: 401, operator: 401, anonymous: 401 };
/** A try of one machine. */
const ownLease: Expected = { ...nobodyElse, provider: 200, otherProvider: 404 };
/** What a machine does for itself; the other one comes with a session that it does not have. */
const ownSession: Expected = { ...nobodyElse, provider: 200, otherProvider: 409 };

/** In everything of the owner's that others must not see. */
const canary = 'canary-8c1f';

interface Entry {
  expected: Expected;
  /** The request; made anew for each route, as the route needs its object. */
  request: () => Promise<CallOptions & { path: string }>;
}

let market: TestMarket;
let owner: TestUser;
let other: TestUser;
let operator: TestUser;
let machine: TestAgent;
let otherMachine: TestAgent;
let idleMachine: TestAgent;

beforeAll(async () => {
  market = await startTestMarket();
  [owner, other, operator] = [
    await market.addUser({ micros: 1_000_000_000n }),
    await market.addUser(),
    await market.addUser({ role: 'operator' }),
  ];
  machine = await TestAgent.join(market, owner, { gpus: testCards(8), cpus: 64, memory_mib: 65_536 });
  // They offer nothing that these jobs would fit on.
  idleMachine = await TestAgent.join(market, owner, { cpus: 0.1, memory_mib: 16 });
  otherMachine = await TestAgent.join(market, other, { cpus: 0.1, memory_mib: 16 });
});
afterAll(() => market.close());

const submit = async (spec: object) =>
  parsed(
    createJob.reply,
    await market.call('/v1/jobs', {
      method: 'POST',
      token: owner.token,
      json: { image: `${canary}/x`, env: { CANARY: canary }, ...spec },
    }),
  );

/** A job that stays queued. */
const queuedJob = () => submit({ requirements: { gpus: 8, min_vram_mib: 1_000_000 } });

async function activeTask(): Promise<TestTask> {
  await submit({});
  return await machine.acceptNext();
}

async function finishedJob(): Promise<{ id: string; artifact: string }> {
  const { id } = await submit({});
  const task = await machine.acceptNext();
  await task.start();
  await task.print([canary]);
  const bytes = new Uint8Array(Buffer.from(canary));
  await task.putArtifact(canary, createHash('sha256').update(bytes).digest('hex'), bytes);
  await task.finish();
  const items = parsed(
    listArtifacts.reply,
    await market.call(`/v1/jobs/${id}/artifacts`, { token: owner.token }),
  ).items;
  return { id, artifact: items[0]?.id ?? '' };
}

/** One whose receipt can be asked for. */
async function settledJob(): Promise<string> {
  const { id } = await finishedJob();
  await untilSettled(`/v1/jobs/${id}/receipt`);
  return id;
}

async function settledGroup(): Promise<string> {
  const id = await group();
  await market.call(`/v1/groups/${id}/cancel`, { method: 'POST', token: owner.token });
  await untilSettled(`/v1/groups/${id}/receipt`);
  return id;
}

const untilSettled = (path: string) =>
  waitUntil('settled', async () => (await market.call(path, { token: owner.token })).status === 200);

const session = { 'computefabric-session': '1' };

/** A call about a lease that is in the state in which `prepare` leaves it. */
const leaseCall =
  (path: string, json: object, prepare: (task: TestTask) => Promise<unknown> = async () => {}) =>
  async () => {
    const task = await activeTask();
    await prepare(task);
    return {
      path: `/provider/v1/leases/${task.leaseId}${path}`,
      method: 'POST' as const,
      json,
      headers: { ...session, 'computefabric-fence': String(task.fence) },
    };
  };

/** A call about an offer that nobody has answered. */
const offerCall = (path: string, json: object) => async () => {
  await submit({});
  const polled = await machine.call('/poll', {});
  const [offer] = (JSON.parse(polled.text) as { offers: { lease_id: string; fence: number }[] }).offers;
  return {
    path: `/provider/v1/leases/${offer?.lease_id}${path}`,
    method: 'POST' as const,
    json,
    headers: { ...session, 'computefabric-fence': String(offer?.fence) },
  };
};

const get = (path: string) => async () => ({ path });
const post = (path: string, json: object) => async () => ({ path, method: 'POST' as const, json });
const ofIdleMachine = (suffix: string, method: 'POST' | 'PUT' | 'DELETE', json?: object) => async () => ({
  path: `/v1/providers/${idleMachine.providerId}${suffix}`,
  method,
  ...(json ? { json } : {}),
});
const ofJob = (suffix: string) => async () => ({ path: `/v1/jobs/${(await finishedJob()).id}${suffix}` });
const spec = { image: 'busybox', requirements: { gpus: 8, min_vram_mib: 1_000_000 } };
const nightly = (name: string) => ({ name, cron: '0 3 1 1 *', spec: { ...spec, image: `${canary}/x` } });

async function made(path: string, json: object): Promise<string> {
  const answer = await market.call(path, { method: 'POST', token: owner.token, json });
  return (JSON.parse(answer.text) as { id: string }).id;
}
const group = () => made('/v1/groups', { spec: { ...spec, image: `${canary}/x` }, array: { count: 2 } });
const schedule = (name: string) => made('/v1/schedules', nightly(name));
const hello = { agent_version: '1', inventory: testInventory, tasks: [] };
const ended = { reason: 'exited-zero', detail: null, exit_code: 0, log_chunks: 0 };

const matrix: Record<string, Entry> = {
  createJob: { expected: everyUser(201), request: post('/v1/jobs', spec) },
  listJobs: { expected: everyUser(200), request: get('/v1/jobs') },
  getJob: { expected: ownObject(200), request: ofJob('') },
  cancelJob: {
    expected: ownObject(200),
    request: async () => ({ path: `/v1/jobs/${(await queuedJob()).id}/cancel`, method: 'POST' }),
  },
  // One that has not ended: what goes on would be offered to the machine that other entries need.
  resumeJob: {
    expected: ownObject(409),
    request: async () => ({
      path: `/v1/jobs/${(await queuedJob()).id}/resume`,
      method: 'POST',
      json: { max_cost_micros: '900000' },
    }),
  },
  setJobBudget: {
    expected: ownObject(200),
    request: async () => ({
      path: `/v1/jobs/${(await queuedJob()).id}/budget`,
      method: 'PUT',
      json: { max_cost_micros: '900000' },
    }),
  },
  listJobEvents: { expected: ownObject(200), request: ofJob('/events') },
  getJobLogs: { expected: ownObject(200), request: ofJob('/logs') },
  streamJob: { expected: ownObject(200), request: ofJob('/stream') },
  listCheckpoints: { expected: ownObject(200), request: ofJob('/checkpoints') },
  getCheckpoint: {
    expected: ownObject(404), // it has saved none
    request: async () => ({ path: `/v1/jobs/${(await queuedJob()).id}/checkpoints/${newId('checkpoint')}` }),
  },
  downloadChunk: {
    expected: ownObject(404),
    request: async () => ({
      path: `/v1/jobs/${(await queuedJob()).id}/checkpoints/${newId('checkpoint')}/chunks/${'0'.repeat(64)}`,
    }),
  },
  listArtifacts: { expected: ownObject(200), request: ofJob('/artifacts') },
  downloadArtifact: {
    expected: ownObject(200),
    request: async () => {
      const { id, artifact } = await finishedJob();
      return { path: `/v1/jobs/${id}/artifacts/${artifact}` };
    },
  },
  createGroup: { expected: everyUser(201), request: post('/v1/groups', { spec, array: { count: 2 } }) },
  listGroups: { expected: everyUser(200), request: get('/v1/groups') },
  getGroup: { expected: ownObject(200), request: async () => ({ path: `/v1/groups/${await group()}` }) },
  cancelGroup: {
    expected: ownObject(200),
    request: async () => ({ path: `/v1/groups/${await group()}/cancel`, method: 'POST' }),
  },
  createSchedule: { expected: everyUser(201), request: post('/v1/schedules', { ...nightly('mine'), spec }) },
  listSchedules: { expected: everyUser(200), request: get('/v1/schedules') },
  getSchedule: {
    expected: ownObject(200),
    request: async () => ({ path: `/v1/schedules/${await schedule('got')}` }),
  },
  changeSchedule: {
    expected: ownObject(200),
    request: async () => ({
      path: `/v1/schedules/${await schedule('paused')}`,
      method: 'PATCH',
      json: { state: 'paused' },
    }),
  },
  deleteSchedule: {
    expected: ownObject(204),
    request: async () => ({ path: `/v1/schedules/${await schedule('gone')}`, method: 'DELETE' }),
  },
  listFirings: {
    expected: ownObject(200),
    request: async () => ({ path: `/v1/schedules/${await schedule('fired')}/firings` }),
  },
  getReceipt: {
    expected: ownObject(200),
    request: async () => ({ path: `/v1/jobs/${await settledJob()}/receipt` }),
  },
  getGroupReceipt: {
    expected: ownObject(200),
    request: async () => ({ path: `/v1/groups/${await settledGroup()}/receipt` }),
  },
  // Anybody else's job is not there; of the owner's, one that cost nothing is refused as that.
  openDispute: {
    expected: ownObject(409),
    request: async () => ({
      path: `/v1/jobs/${(await queuedJob()).id}/dispute`,
      method: 'POST',
      json: { reason: 'other', message: canary },
    }),
  },
  listDisputes: { expected: everyUser(200), request: get('/v1/disputes') },
  decideDispute: {
    expected: { ...everyUser(403), operator: 404 },
    request: async () => ({
      path: `/v1/admin/disputes/${newId('dispute')}/decision`,
      method: 'POST',
      json: { outcome: 'denied', explanation: 'no' },
    }),
  },
  listMarketKeys: { expected: everybody(200), request: get('/v1/keys') },
  createQuote: { expected: everyUser(200), request: post('/v1/quotes', spec) },
  listOffers: { expected: everyUser(200), request: get('/v1/offers') },
  listMachines: { expected: everyUser(200), request: get('/v1/providers') },
  getMachine: {
    expected: ownObject(200),
    request: async () => ({ path: `/v1/providers/${machine.providerId}` }),
  },
  listMachineTries: {
    expected: ownObject(200),
    request: async () => ({ path: `/v1/providers/${machine.providerId}/tries` }),
  },
  pauseMachine: { expected: ownObject(200), request: ofIdleMachine('/pause', 'POST', { reason: canary }) },
  drainMachine: { expected: ownObject(200), request: ofIdleMachine('/drain', 'POST', { reason: canary }) },
  resumeMachine: { expected: ownObject(200), request: ofIdleMachine('/resume', 'POST', {}) },
  planMaintenance: {
    expected: ownObject(200),
    request: ofIdleMachine('/maintenance', 'PUT', {
      from: '2100-01-01T00:00:00Z',
      until: '2100-01-02T00:00:00Z',
      reason: canary,
    }),
  },
  cancelMaintenance: { expected: ownObject(200), request: ofIdleMachine('/maintenance', 'DELETE') },
  setMachineTier: {
    expected: { ...ownObject(403), other: 403, operator: 200 },
    request: async () => ({
      path: `/v1/admin/providers/${otherMachine.providerId}`,
      method: 'PATCH',
      json: { tier: 'verified' },
    }),
  },
  listBudgets: { expected: everyUser(200), request: get('/v1/budgets') },
  setBudget: {
    expected: everyUser(200),
    request: async () => ({ path: '/v1/budgets', method: 'PUT', json: { amount_micros: '900000000000000' } }),
  },
  // Of somebody else's budget, too, nobody learns that it is there.
  removeBudget: {
    expected: { ...everyUser(404) },
    request: async () => ({ path: `/v1/budgets/${newId('budget')}`, method: 'DELETE' }),
  },
  auditLedger: {
    expected: { ...ownObject(403), other: 403, operator: 200 },
    request: get('/v1/admin/ledger/audit'),
  },
  createJoinToken: { expected: everyUser(201), request: post('/v1/join-tokens', {}) },
  whoAmI: { expected: everyUser(200), request: get('/v1/me') },
  getBalance: { expected: everyUser(200), request: get('/v1/balance') },
  listPayments: { expected: everyUser(200), request: get('/v1/payments') },
  // This market has no payment provider: whoever asks learns that.
  getBilling: { expected: everyUser(200), request: get('/v1/billing') },
  createTopUp: {
    expected: everyUser(409),
    request: post('/v1/billing/top-ups', { amount_micros: '5000000' }),
  },
  listTopUps: { expected: everyUser(200), request: get('/v1/billing/top-ups') },
  getTopUp: {
    // There is none; that another's is not there either is a test of the top-ups.
    expected: everyUser(404),
    request: async () => ({ path: `/v1/billing/top-ups/${newId('topUp')}` }),
  },
  addCard: { expected: everyUser(409), request: post('/v1/billing/cards', {}) },
  removeCard: {
    expected: everyUser(409),
    request: async () => ({ method: 'DELETE', path: '/v1/billing/cards/pm_none' }),
  },
  setAutoTopUp: {
    expected: everyUser(409),
    request: async () => ({
      method: 'PUT',
      path: '/v1/billing/auto-top-up',
      json: { auto_top_up: null },
    }),
  },
  payOwed: { expected: everyUser(409), request: post('/v1/billing/pay', {}) },
  refundBalance: { expected: everyUser(409), request: post('/v1/billing/refunds', {}) },
  listRefunds: { expected: everyUser(200), request: get('/v1/billing/refunds') },
  getEarnings: { expected: everyUser(200), request: get('/v1/earnings') },
  getStatement: { expected: everyUser(200), request: get('/v1/earnings/statement?period=2026-11') },
  getPayoutAccount: { expected: everyUser(200), request: get('/v1/payout-account') },
  // Without a payment provider: whoever asks learns that.
  setUpPayouts: { expected: everyUser(409), request: post('/v1/payout-account/onboarding', {}) },
  changePayoutAccount: {
    expected: everyUser(200),
    request: async () => ({ path: '/v1/payout-account', method: 'PATCH', json: { schedule: 'daily' } }),
  },
  requestPayout: { expected: everyUser(409), request: post('/v1/payouts', {}) },
  listPayouts: { expected: everyUser(200), request: get('/v1/payouts') },
  getPayout: {
    // There is none; that another's is not there either is a test of the payouts.
    expected: everyUser(404),
    request: async () => ({ path: `/v1/payouts/${newId('payout')}` }),
  },
  listOwed: { expected: { ...everyUser(403), operator: 200 }, request: get('/v1/admin/earnings') },
  recordPayout: {
    // A new owner's first earnings are kept: there is nothing to pay yet.
    expected: { ...everyUser(403), operator: 409 },
    request: async () => ({
      path: '/v1/admin/payouts',
      method: 'POST',
      json: { to: owner.userId, amount_micros: '900000000000', reference: canary },
    }),
  },
  correctPayout: {
    expected: { ...everyUser(403), operator: 404 },
    request: async () => ({
      path: `/v1/admin/payouts/${newId('payout')}/correction`,
      method: 'POST',
      json: { reason: 'no' },
    }),
  },
  createApiKey: { expected: everyUser(201), request: post('/v1/api-keys', { name: 'k' }) },
  revokeApiKey: {
    expected: ownObject(204),
    request: async () => {
      const made = await market.call('/v1/api-keys', {
        method: 'POST',
        token: owner.token,
        json: { name: canary },
      });
      return { path: `/v1/api-keys/${(JSON.parse(made.text) as { id: string }).id}`, method: 'DELETE' };
    },
  },
  listApiKeys: { expected: everyUser(200), request: get('/v1/api-keys') },
  enrollProvider: {
    // Only a join token opens it: none of these has one.
    expected: { ...nobodyElse, provider: 401, otherProvider: 401 },
    request: post('/provider/v1/enroll', { name: 'm', agent_version: '1', secret_hash: hashSecret('one') }),
  },
  issueMachineCredential: {
    // Only the machine's key opens it: a signature that is none helps nobody.
    expected: { ...nobodyElse, provider: 401, otherProvider: 401 },
    request: async () => ({
      path: '/provider/v1/credential',
      method: 'POST',
      json: {
        provider_id: machine.providerId,
        secret_hash: hashSecret('one'),
        at: new Date().toISOString(),
        signature: `${'A'.repeat(86)}==`,
      },
    }),
  },
  pollProvider: {
    expected: ownSession,
    request: async () => {
      await submit({});
      return { path: '/provider/v1/poll', method: 'POST', json: {}, headers: session };
    },
  },
  heartbeatProvider: {
    expected: ownSession,
    request: async () => ({
      path: '/provider/v1/heartbeat',
      method: 'POST',
      json: { tasks: [] },
      headers: session,
    }),
  },
  acceptLease: { expected: ownLease, request: offerCall('/accept', {}) },
  rejectLease: { expected: ownLease, request: offerCall('/reject', { reason: 'no' }) },
  startedLease: { expected: ownLease, request: leaseCall('/started', { image_digest: null }) },
  appendLogs: {
    expected: ownLease,
    request: async () => ({
      ...(await leaseCall('/logs?first_seq=0', {})()),
      json: undefined,
      body: encodeLogFrames([{ seq: 0, stream: 'stdout', atMs: 0, data: Buffer.from(canary) }]),
    }),
  },
  exitedLease: {
    expected: ownLease,
    request: leaseCall('/exited', { exit_code: 0 }, (task) => task.start()),
  },
  putArtifact: {
    expected: ownLease,
    request: async () => {
      const bytes = new Uint8Array(Buffer.from(canary));
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const query = `?path=x&sha256=${sha256}&size_bytes=${bytes.byteLength}`;
      return {
        ...(await leaseCall(`/artifacts${query}`, {})()),
        method: 'PUT',
        json: undefined,
        body: bytes,
      };
    },
  },
  beginCheckpoint: {
    expected: ownLease,
    request: leaseCall('/checkpoints', {}, (task) => task.start()),
  },
  missingChunks: {
    expected: { ...ownLease, provider: 404 }, // its job saves nothing now
    request: leaseCall('/missing-chunks', { sha256: ['0'.repeat(64)] }),
  },
  putChunk: {
    expected: { ...ownLease, provider: 404 },
    request: async () => ({
      ...(await leaseCall(`/chunks?sha256=${'0'.repeat(64)}&size_bytes=1`, {})()),
      method: 'PUT',
      json: undefined,
      body: new Uint8Array(1),
    }),
  },
  commitCheckpoint: {
    expected: { ...ownLease, provider: 404 },
    request: async () => {
      const bytes = new Uint8Array(Buffer.from('{"version":1,"folders":[],"files":[],"links":[]}'));
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      return {
        ...(await leaseCall(`/checkpoints/${newId('checkpoint')}/manifest?sha256=${sha256}`, {})()),
        method: 'PUT',
        json: undefined,
        body: bytes,
      };
    },
  },
  readState: {
    expected: { ...ownLease, provider: 404 }, // it began anew
    request: async () => ({ ...(await leaseCall('/state', {})()), method: 'GET', json: undefined }),
  },
  readStateChunk: {
    expected: { ...ownLease, provider: 404 },
    request: async () => ({
      ...(await leaseCall(`/state/chunks/${'0'.repeat(64)}`, {})()),
      method: 'GET',
      json: undefined,
    }),
  },
  readRegistryLogin: {
    expected: ownLease,
    request: async () => ({ ...(await leaseCall('/registry-login', {})()), method: 'GET', json: undefined }),
  },
  endedLease: { expected: ownLease, request: leaseCall('/ended', ended) },
  releasedLease: {
    expected: ownLease,
    request: leaseCall('/released', {}, (task) => task.call('/ended', ended)),
  },
  // The last two change what the machine is; hello gives it a new session.
  helloProvider: {
    expected: { ...ownSession, otherProvider: 200 },
    request: post('/provider/v1/hello', hello),
  },
  goodbyeProvider: {
    expected: ownSession,
    request: async () => ({
      path: '/provider/v1/goodbye',
      method: 'POST',
      json: { leaving: true },
      headers: { 'computefabric-session': '2' },
    }),
  },
};

const tokenOf = (role: Role): string | undefined =>
  ({
    owner: owner.token,
    other: other.token,
    operator: operator.token,
    anonymous: undefined,
    provider: machine.credential,
    otherProvider: otherMachine.credential,
  })[role];

test('every route has an entry here and every entry is a route', () => {
  expect(allContracts.length).toBeGreaterThan(25);
  expect(Object.keys(matrix).toSorted()).toEqual(allContracts.map(({ id }) => id).toSorted());
});

describe('who may do what (R36)', () => {
  const contractOf = new Map(allContracts.map((contract) => [contract.id, contract]));
  test.each(Object.keys(matrix))('%s', async (id) => {
    const entry = matrix[id];
    const contract = contractOf.get(id);
    if (!entry || !contract) throw new Error(`no contract ${id}`);
    const { path, ...options } = await entry.request();
    // Those who may not go first: whatever they could break would show in the answer to the one who may.
    const order = roles.toSorted((a, b) => entry.expected[b] - entry.expected[a]);
    for (const role of order) {
      const token = tokenOf(role);
      const stranger = role === 'otherProvider' && entry.expected.otherProvider === 409;
      const headers = { ...options.headers, ...(stranger ? { 'computefabric-session': '999' } : {}) };
      const answer = await market.call(path, {
        ...options,
        headers,
        ...(token === undefined ? {} : { token }),
      });
      expect(answer.status, `${role}: ${answer.text.slice(0, 300)}`).toBe(entry.expected[role]);
      if (answer.status >= 400) expect(codesOf(contract)).toContain(errorOf(answer).code);
      if (role !== 'owner' && role !== 'provider') expect(answer.text, role).not.toContain(canary);
    }
  });
});

/** The refusals that a contract announces, and those of every door. */
function codesOf(contract: Contract): readonly string[] {
  return ['auth/missing', 'auth/invalid', 'join-token/invalid', ...contract.errors];
}

test('only a join token that was not spent lets a machine in', async () => {
  const asked = await market.call('/v1/join-tokens', { method: 'POST', token: owner.token, json: {} });
  const { token } = parsed(createJoinToken.reply, asked);
  const enroll = async (secret: string) => {
    const json = { name: 'm', agent_version: '1', secret_hash: hashSecret(secret) };
    return await market.call('/provider/v1/enroll', { method: 'POST', token, json });
  };
  const first = await enroll('one');
  expect(first.status).toBe(201);
  // The machine that spent it may not have heard the answer: it gets the same one. Any other is refused.
  expect((await enroll('one')).text).toBe(first.text);
  expect(errorOf(await enroll('two')).code).toBe('join-token/invalid');
});
