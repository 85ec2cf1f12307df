import { parseBearer } from '@computefabric/protocol/api-key';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import { newId } from '@computefabric/protocol/ids';
import { startedLease } from '@computefabric/protocol/provider-api/v1/leases';
import type { JobId } from '@computefabric/protocol/ids';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import type { KeptState, TaskSpec, Verdict } from '@computefabric/protocol/provider-api/v1/session';
import { fenceHeader } from '@computefabric/protocol/provider-api/v1/common';
import type { MeteringRecord } from '@computefabric/protocol/receipts/metering';
import { newPrivateKey, signerOf } from '@computefabric/runtime/receipts/signatures';
import { silentLogger } from '@computefabric/runtime/log';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@computefabric/runtime/secret';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { systemBootClock } from '../home/boot-clock.ts';
import { StartError } from '../start-error.ts';
import { FakeOrchestrator } from '../testing/fake-orchestrator.ts';
import { testInventory } from '../testing/test-inventory.ts';
import { testSpec } from '../testing/test-spec.ts';
import { ControlPlaneClient } from './client.ts';
import type { Heard } from './heard.ts';
import { obtainCredential } from './credential.ts';
import { LeaseGone, LeaseReports } from './lease-reports.ts';
import { ReplacedError, Session, type SessionTasks } from './session.ts';

const folder = mkdtempSync(join(tmpdir(), 'cf-session-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let market: FakeOrchestrator;
let stop: AbortController;
let homes = 0;
beforeEach(async () => {
  market = await FakeOrchestrator.start();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await market.goAway();
  expect(market.violations).toEqual([]);
});

const signer = signerOf(newPrivateKey());

class Tasks implements SessionTasks {
  readonly verdicts: Array<[string, Verdict]> = [];
  readonly offers: TaskSpec[] = [];
  readonly outages: Heard[] = [];
  readonly records: MeteringRecord[] = [];
  readonly forgotten: JobId[] = [];
  imageNames: string[] | undefined;
  readonly wanted: (readonly string[])[] = [];
  keptVersion = 0;
  keptStates: KeptState[] = [];
  specs: TaskSpec[] = [];
  held() {
    return this.specs.map(({ lease_id, fence }) => ({ lease_id, fence, task_state: 'running' as const }));
  }
  beating() {
    return this.held().map((task) => ({ ...task, progress: null }));
  }
  metered(_leaseId: string, record: MeteringRecord) {
    this.records.push(record);
  }
  marketAway(heard: Heard) {
    this.outages.push(heard);
  }
  verdict(lease: string, verdict: Verdict) {
    this.verdicts.push([lease, verdict]);
  }
  offer(spec: TaskSpec) {
    this.offers.push(spec);
  }
  kept() {
    return { version: this.keptVersion, states: this.keptStates };
  }
  owner: OwnerNotice = { state: 'unclaimed', reason: 'ready', accepts_work: true, until: null };
  ownerNotice() {
    return this.owner;
  }
  images() {
    return this.imageNames;
  }
  wantedImages(references: readonly string[]) {
    this.wanted.push(references);
  }
  forget(jobIds: readonly JobId[]) {
    this.forgotten.push(...jobIds);
  }
}

async function connect(
  tasks = new Tasks(),
  inventory: () => Promise<Inventory> = () => Promise.resolve(testInventory()),
) {
  homes += 1;
  const client = new ControlPlaneClient(market.url);
  const path = join(folder, `${homes}.json`);
  const joinToken = new Secret(market.joinToken);
  const credential = await obtainCredential({
    path,
    client,
    signer,
    joinToken,
    name: 'machine',
    log: silentLogger,
    signal: stop.signal,
  });
  const session = new Session({
    client,
    credential,
    inventory,
    signingKey: signer.publicKey,
    tasks,
    clock: systemBootClock,
    log: silentLogger,
  });
  const ended = session.run(stop.signal);
  ended.catch(() => undefined);
  return { session, ended, tasks, path, client, credential };
}

test('the join token is spent once, and nothing that opens the market lies on the disk but the key', async () => {
  const { path, client, credential } = await connect();
  await market.until('the session is open', () => market.session === 1);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const bearer = (await credential.bearer(stop.signal)).reveal();
  expect(readFileSync(path, 'utf8')).not.toContain(parseBearer(bearer)?.secret);
  const options = { path, client, signer, name: 'machine', log: silentLogger, signal: stop.signal };
  const again = await obtainCredential({ ...options, joinToken: null });
  expect(again.providerId).toBe(credential.providerId);
  expect(market.countOf('enrollProvider')).toBe(1);
  const elsewhere = { ...options, path: `${path}.other` };
  await expect(obtainCredential({ ...elsewhere, joinToken: null })).rejects.toThrow(/PROVIDER_JOIN_TOKEN/);
  await expect(obtainCredential({ ...elsewhere, joinToken: new Secret('wrong') })).rejects.toThrow(
    StartError,
  );
});

test('an enrolment whose answer was lost, or whose process died, is finished with the same token', async () => {
  const path = join(folder, 'joins-twice.json');
  const joinToken = new Secret(market.joinToken);
  const client = new ControlPlaneClient(market.url);
  const options = { path, client, signer, name: 'machine', log: silentLogger, joinToken };
  market.faults.push({ call: 'enrollProvider', kind: 'lost-after', times: 1 });
  const first = await obtainCredential({ ...options, signal: stop.signal });
  // As after a crash between the market's answer and the file: the key is there, the file is not.
  rmSync(path);
  const second = await obtainCredential({ ...options, signal: stop.signal });
  expect(second.providerId).toBe(first.providerId);
  const stranger = { ...options, signer: signerOf(newPrivateKey()), path: `${path}.stranger` };
  await expect(obtainCredential({ ...stranger, signal: stop.signal })).rejects.toThrow(/did not let/);
});

test('one signature serves many calls, and another is given before the credential ends', async () => {
  const { credential } = await connect();
  await market.until('the agent polls', () => market.session === 1);
  const bearers = await Promise.all([1, 2, 3].map(() => credential.bearer(stop.signal)));
  expect(new Set(bearers.map((each) => each.reveal())).size).toBe(1);
  expect(market.countOf('issueMachineCredential')).toBe(1);
  const [bearer] = bearers;
  if (!bearer) throw new Error('there is one');
  // They no longer know it, as after a restore of an older backup: the calls go on with another.
  market.secretHashes.clear();
  await market.until('another is asked for', () => market.secretHashes.size > 0);
  expect((await credential.bearer(stop.signal)).reveal()).not.toBe(bearer.reveal());
});

test('a short-lived credential is renewed while the session goes on', async () => {
  market.credentialSeconds = 1;
  const { ended } = await connect();
  await market.until('it was renewed', () => market.countOf('issueMachineCredential') >= 3);
  const refused = market.calls.filter(({ call, status }) => call === 'heartbeatProvider' && status === 401);
  expect(refused).toEqual([]);
  expect(market.session).toBe(1);
  stop.abort();
  await ended;
});

test("a machine whose clock is wrong signs with the market's time", async () => {
  market.clockAheadMs = -3 * 86_400_000;
  const { credential } = await connect();
  await market.until('the session is open', () => market.session === 1);
  market.secretHashes.clear();
  await market.until('another is asked for', () => market.secretHashes.size > 0);
  expect(credential.providerId).toMatch(/^prov_/);
  const refused = market.calls.filter(
    (each) => each.call === 'issueMachineCredential' && each.status === 401,
  );
  expect(refused).toHaveLength(1);
});

test('an offer arrives within a moment and a nudge brings a heartbeat at once', async () => {
  const { tasks } = await connect();
  await market.until('the agent polls', () => market.session === 1);
  const lease = market.offer(testSpec());
  await market.until('the offer arrives', () => tasks.offers.length === 1, 1_000);
  expect(tasks.offers[0]?.lease_id).toBe(lease.spec.lease_id);
});

test('calls survive lost requests, lost answers, server errors and an orchestrator that goes away', async () => {
  const { session, tasks } = await connect();
  const lease = market.offer(testSpec());
  tasks.specs = [lease.spec];
  const reports = new LeaseReports(session, systemBootClock, lease.spec);
  for (const kind of ['lost-before', 'lost-after', 'server-error'] as const) {
    market.faults.push({ call: 'acceptLease', kind, times: 1 });
  }
  await reports.accept(stop.signal);
  await market.goAway();
  const started = reports.started('sha256:1', stop.signal);
  await market.comeBack();
  await started;
  expect(lease.effects).toEqual(['accept', 'started']);
});

test('a report on an old fence, or of a lease nobody knows, says that the lease is gone', async () => {
  const { session } = await connect();
  const lease = market.offer(testSpec({ fence: 7 }));
  const stale = new LeaseReports(session, systemBootClock, { ...lease.spec, fence: 6 });
  await expect(stale.accept(stop.signal)).rejects.toThrow(LeaseGone);
  await expect(new LeaseReports(session, systemBootClock, testSpec()).accept(stop.signal)).rejects.toThrow(
    LeaseGone,
  );
  expect(lease.effects).toEqual([]);
});

test('a process that was replaced by a newer one stops and says so', async () => {
  const { ended, session } = await connect();
  await market.until('the session is open', () => market.session === 1);
  const before = market.session;
  market.replaceAgent();
  await expect(ended).rejects.toThrow(ReplacedError);
  expect(market.session).toBe(before + 1);
  const call = session.call(
    startedLease,
    { params: { lease: testSpec().lease_id }, body: { image_digest: null } },
    { deadlineMs: 1_000, headers: { [fenceHeader]: '1' } },
    stop.signal,
  );
  await expect(call).rejects.toThrow(ReplacedError);
});

test('a hello whose answer was lost is not mistaken for another process', async () => {
  market.faults.push({ call: 'helloProvider', kind: 'lost-after', times: 2 });
  const { ended, tasks } = await connect();
  await market.until('the third hello is answered', () => market.session === 3);
  // The straggler: an earlier hello of ours takes effect after the one that was answered.
  market.replaceAgent();
  await market.until('the agent says hello again', () => market.hellos.length === 4);
  market.offer(testSpec());
  await market.until('it serves', () => tasks.offers.length === 1);
  stop.abort();
  await ended;
});

test('a try that the orchestrator does not mention is gone', async () => {
  const tasks = new Tasks();
  const known = market.offer(testSpec());
  known.state = 'active';
  const unknown = testSpec();
  tasks.specs = [known.spec, unknown];
  await connect(tasks);
  await market.until('hello is answered', () => tasks.verdicts.length >= 2);
  expect(tasks.verdicts.slice(0, 2)).toEqual([
    [known.spec.lease_id, 'run'],
    [unknown.lease_id, 'gone'],
  ]);
});

test('what the machine keeps is told at first and when it has changed, and what is not needed is forgotten', async () => {
  const tasks = new Tasks();
  const [kept, over] = [testSpec().job_id, testSpec().job_id];
  const stateOf = (job_id: JobId) => ({ job_id, checkpoint_id: newId('checkpoint') });
  tasks.keptStates = [stateOf(kept)];
  const { session } = await connect(tasks);
  await market.until('it is told', () => market.keptStates.length === 1);
  const beats = market.countOf('heartbeatProvider');
  session.beatSoon();
  await market.until('some more heartbeats', () => market.countOf('heartbeatProvider') > beats + 2);
  expect(market.keptStates).toEqual([tasks.keptStates]);
  market.overJobs.add(over);
  tasks.keptStates = [stateOf(kept), stateOf(over)];
  tasks.keptVersion += 1;
  await market.until('it is told again', () => tasks.forgotten.length > 0);
  expect(tasks.forgotten).toEqual([over]);
  expect(market.keptStates).toHaveLength(2);
});

test('what the owner’s rules say is told at the start and when it has changed, not with every heartbeat', async () => {
  const tasks = new Tasks();
  const { session } = await connect(tasks);
  await market.until('it is told', () => market.ownerNotices.length === 1);
  expect(market.hellos[0]?.owner_notice).toEqual(tasks.owner);
  const beats = market.countOf('heartbeatProvider');
  // An end that moves is no news by itself.
  tasks.owner = { ...tasks.owner, until: '2026-03-01T22:00:00Z' };
  session.beatSoon();
  await market.until('some more heartbeats', () => market.countOf('heartbeatProvider') > beats + 2);
  expect(market.ownerNotices).toHaveLength(1);
  tasks.owner = { state: 'owner', reason: 'person', accepts_work: false, until: null };
  session.beatSoon();
  await market.until('it is told again', () => market.ownerNotices.length === 2);
  expect(market.ownerNotices.at(-1)).toEqual(tasks.owner);
});

test('which images are here is told when that has changed, and the answer says which are wanted', async () => {
  market.wantedImages = ['popular/one:1'];
  const tasks = new Tasks();
  const { session } = await connect(tasks);
  await market.until('a heartbeat', () => market.countOf('heartbeatProvider') > 1);
  expect(market.cachedImages).toEqual([]);
  tasks.imageNames = ['a:1'];
  session.beatSoon();
  await market.until('they are told', () => tasks.wanted.length === 1);
  tasks.imageNames = ['a:1', 'b:1'];
  await market.until('they are told again', () => tasks.wanted.length === 2);
  expect(market.cachedImages).toEqual([['a:1'], ['a:1', 'b:1']]);
  expect(tasks.wanted.at(-1)).toEqual(['popular/one:1']);
});

test('after a silence longer than the lease time the machine introduces itself again', async () => {
  await market.goAway();
  market = await FakeOrchestrator.start({ leaseTtlSeconds: 0.6, heartbeatSeconds: 0.2 });
  const { tasks } = await connect();
  await market.until('the first hello', () => market.hellos.length === 1);
  await market.goAway();
  const awaySince = performance.now();
  await market.until('a while has passed', () => performance.now() - awaySince > 900);
  await market.comeBack();
  await market.until('the second hello', () => market.hellos.length === 2);
  market.offer(testSpec());
  await market.until('it serves', () => tasks.offers.length === 1);
});

test('a machine that the orchestrator does not know is told what to do', async () => {
  const { path, client } = await connect();
  await market.until('the session is open', () => market.session === 1);
  stop.abort();
  await market.goAway();
  market = await FakeOrchestrator.start();
  const other = new ControlPlaneClient(market.url);
  expect(client).not.toBe(other);
  const options = { path, client: other, signer, joinToken: null, name: 'x', log: silentLogger };
  const credential = await obtainCredential({ ...options, signal: AbortSignal.timeout(5_000) });
  const session = new Session({
    client: other,
    credential,
    inventory: () => Promise.resolve(testInventory()),
    signingKey: signer.publicKey,
    tasks: new Tasks(),
    clock: systemBootClock,
    log: silentLogger,
  });
  await expect(session.run(AbortSignal.timeout(5_000))).rejects.toThrow(/refuses this machine/);
});

test('a market that nobody serves is told apart from one that is not heard', async () => {
  const { tasks } = await connect();
  await market.until('a heartbeat is answered', () => market.countOf('heartbeatProvider') > 0);
  await market.fallSilent();
  await market.until('calls break off', () => market.brokenConnections > 4);
  expect(tasks.outages).toEqual([]);
  await market.goAway();
  await market.until('the outage is noticed', () => tasks.outages.length > 0);
  expect(tasks.outages[0]?.leaseTtlSeconds).toBe(3);
});
