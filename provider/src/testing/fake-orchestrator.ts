import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createNetServer, type Server as NetServer } from 'node:net';
import { hashSecret, newBearer, parseBearer } from '@computefabric/protocol/api-key';
import type { Contract } from '@computefabric/protocol/contract';
import { errorCodeRow } from '@computefabric/protocol/error-codes';
import { type JobId, newId, type ProviderId } from '@computefabric/protocol/ids';
import { decodeLogFrames, type LogChunk } from '@computefabric/protocol/log-frames';
import {
  credentialText,
  enrolmentText,
  signatureSeconds,
} from '@computefabric/protocol/provider-api/v1/machine-key';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import { fenceHeader, sessionHeader } from '@computefabric/protocol/provider-api/v1/common';
import * as leaseApi from '@computefabric/protocol/provider-api/v1/leases';
import * as sessionApi from '@computefabric/protocol/provider-api/v1/session';
import type { TaskSpec, Verdict } from '@computefabric/protocol/provider-api/v1/session';
import type { Countersignature, MeteringRecord } from '@computefabric/protocol/receipts/metering';
import { AppError } from '@computefabric/runtime/errors';
import { isSignedBy } from '@computefabric/runtime/receipts/signatures';
import { pause } from '@computefabric/runtime/wait';
import type { z } from 'zod';
import { Bell } from '../bell.ts';

/** What went wrong on the way of a call, as often as `times` says. */
export interface Fault {
  call: string;
  /** `before`: the call never arrives. `after`: it takes effect and its answer is lost or late. */
  kind: 'lost-before' | 'lost-after' | 'delayed' | 'delayed-after' | 'server-error';
  times: number;
  delayMs?: number;
}

export interface FakeLease {
  spec: TaskSpec;
  state: 'offered' | 'active' | 'releasing' | 'released' | 'rejected' | 'lost';
  desired: 'run' | 'stop';
  stopWithinSeconds: number | null;
  expiresAtMs: number;
  started: { imageDigest: string | null } | null;
  exited: { exitCode: number | null } | null;
  ended: z.infer<NonNullable<typeof leaseApi.endedLease.body>> | null;
  rejectedBecause: string | null;
  chunks: LogChunk[];
  results: Map<string, Buffer>;
  /** Effects, each of which may happen only once. */
  effects: string[];
  taskStates: string[];
  progress: number[];
  /** The record of its running time to be signed, with the answer to the next heartbeat. */
  dueRecord: MeteringRecord | null;
  /** The one that comes with the answer to `ended`. */
  lastRecord: MeteringRecord | null;
  countersigned: Countersignature[];
}

interface Settings {
  leaseTtlSeconds: number;
  heartbeatSeconds: number;
}

interface Call {
  call: string;
  lease: string | null;
  status: number;
}

/**
 * An orchestrator in the test's own process that speaks the real contracts over real HTTP: every request is
 * parsed by its contract, every reply is checked by it. It can lose, delay and refuse, go away and come back.
 */
export class FakeOrchestrator {
  /** Called when a machine says that it has removed all of a try; it is answered when the promise resolves. */
  onReleased: ((lease: FakeLease) => Promise<void>) | undefined;
  readonly leases = new Map<string, FakeLease>();
  readonly calls: Call[] = [];
  readonly faults: Fault[] = [];
  /** Requests that no contract allows: a test fails when there are any. */
  readonly violations: string[] = [];
  /** Connections that ended without an answer while it was silent. */
  brokenConnections = 0;
  joinToken = newBearer('join').token;
  session = 0;
  goodbyes: boolean[] = [];
  /** What the machine has said that it keeps, each time. */
  readonly keptStates: sessionApi.KeptState[][] = [];
  /** What it has said of its images, each time, and what is answered. */
  readonly cachedImages: string[][] = [];
  wantedImages: string[] = [];
  /** What its heartbeats have said of its owner's rules, each time. */
  readonly ownerNotices: OwnerNotice[] = [];
  /** What jobs with a login have brought. */
  registryLogin: { username: string; password: string } | null = null;
  /** Jobs that will not come again. */
  readonly overJobs = new Set<JobId>();
  hellos: Array<z.infer<NonNullable<typeof sessionApi.hello.body>>> = [];
  readonly #settings: Settings;
  /** Chosen by the system at the first start and kept. */
  #port = 0;
  readonly #changed = new Bell();
  readonly #offers: TaskSpec[] = [];
  readonly #offered = new Set<() => void>();
  #nudge = false;
  #enrolled: { provider_id: ProviderId; name: string; proof: string; token: string } | null = null;
  /** Hashes of the secrets that its calls may come with. */
  readonly secretHashes = new Set<string>();
  /** What its clock is ahead of the machine's. */
  clockAheadMs = 0;
  credentialSeconds = 3_600;
  #server: Server | undefined;
  #blackHole: NetServer | undefined;
  #suspended = false;

  private constructor(settings: Settings) {
    this.#settings = settings;
  }

  static async start(settings: Partial<Settings> = {}): Promise<FakeOrchestrator> {
    const fake = new FakeOrchestrator({ leaseTtlSeconds: 3, heartbeatSeconds: 0.3, ...settings });
    await fake.comeBack();
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Goes away: open connections break, new ones are refused. */
  async goAway(): Promise<void> {
    await this.#endSilence();
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** The network between agent and orchestrator breaks: connections end without an answer, none is refused. */
  async fallSilent(): Promise<void> {
    await this.goAway();
    const server = createNetServer((socket) => {
      this.brokenConnections += 1;
      socket.destroy();
      this.#changed.ring();
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#blackHole = server;
  }

  /** Comes back with everything it knew. As the real one does, it gives every open lease a fresh term. */
  async comeBack(): Promise<void> {
    await this.#endSilence();
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#server = server;
    const address = server.address();
    if (typeof address === 'object' && address) this.#port = address.port;
    for (const lease of this.leases.values()) {
      if (lease.state === 'active' || lease.state === 'releasing') lease.expiresAtMs = this.#freshTerm();
    }
  }

  async #endSilence(): Promise<void> {
    const server = this.#blackHole;
    this.#blackHole = undefined;
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** Offers a job; the lease is what happens to it. */
  offer(spec: TaskSpec): FakeLease {
    const lease: FakeLease = {
      spec,
      state: 'offered',
      desired: 'run',
      stopWithinSeconds: null,
      expiresAtMs: Date.now() + spec.offer_seconds * 1_000,
      started: null,
      exited: null,
      ended: null,
      rejectedBecause: null,
      chunks: [],
      results: new Map(),
      effects: [],
      taskStates: [],
      progress: [],
      dueRecord: null,
      lastRecord: null,
      countersigned: [],
    };
    this.leases.set(spec.lease_id, lease);
    this.offerAgain(spec);
    return lease;
  }

  /** Sends an offer once more, as after a lost answer. */
  offerAgain(spec: TaskSpec): void {
    this.#offers.push(spec);
    this.#wakePolls();
  }

  /** Wants the try stopped, and says so at once. */
  cancel(lease: FakeLease, withinSeconds: number | null = null): void {
    lease.desired = 'stop';
    lease.stopWithinSeconds = withinSeconds;
    this.#nudge = true;
    this.#wakePolls();
  }

  /** Takes the try away, as if it had expired. */
  lose(lease: FakeLease): void {
    lease.state = 'lost';
  }

  /** Another process of the machine says hello. */
  replaceAgent(): void {
    this.session += 1;
  }

  suspend(suspended: boolean): void {
    this.#suspended = suspended;
  }

  countOf(call: string, lease?: FakeLease): number {
    return this.calls.filter((each) => each.call === call && (!lease || each.lease === lease.spec.lease_id))
      .length;
  }

  /** Waits until something holds; rejects with what was seen last. */
  async until(what: string, holds: () => boolean, ms = 15_000): Promise<void> {
    const deadline = Date.now() + ms;
    while (!holds()) {
      if (Date.now() > deadline) {
        const leases = [...this.leases.values()].map(({ state, effects, ended }) => ({
          state,
          effects,
          ended,
        }));
        throw new Error(`not within ${ms} ms: ${what}; leases: ${JSON.stringify(leases)}`);
      }
      await this.#changed.wait(50);
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let status = 500;
    let call = `${request.method} ${request.url}`;
    let lease: string | null = null;
    try {
      const url = new URL(request.url ?? '/', this.url);
      const found = matchRoute(request.method ?? '', url.pathname);
      if (!found) throw new AppError('request/not-found');
      call = found.contract.id;
      lease = found.params.lease ?? null;
      const fault = this.#takeFault(call);
      if (fault?.kind === 'lost-before') {
        request.socket.destroy();
        return;
      }
      if (fault?.kind === 'server-error') throw new AppError('server/internal');
      if (fault?.kind === 'delayed') await pause(fault.delayMs ?? 200);
      const reply = await this.#answer(found.contract, found.params, url.searchParams, request);
      if (fault?.kind === 'lost-after') {
        this.calls.push({ call, lease, status: 0 });
        request.socket.destroy();
        return;
      }
      if (fault?.kind === 'delayed-after') await pause(fault.delayMs ?? 200);
      status = found.contract.status;
      send(response, status, found.contract.reply?.parse(reply) ?? {});
    } catch (thrown) {
      if (thrown instanceof AppError) {
        status = thrown.status;
        const { retry } = errorCodeRow(thrown.code);
        const error = {
          code: thrown.code,
          message: thrown.message,
          details: thrown.details ?? {},
          retry,
          request_id: 'x',
        };
        send(response, status, { error });
      } else if (!request.complete) {
        call = `${call} (broken off)`; // the agent was ended in the middle of it
      } else {
        this.violations.push(`${call}: ${String(thrown)}`);
        response.destroy();
      }
    } finally {
      this.calls.push({ call, lease, status });
      this.#changed.ring();
    }
  }

  #takeFault(call: string): Fault | undefined {
    const fault = this.faults.find((each) => each.call === call && each.times > 0);
    if (fault) fault.times -= 1;
    return fault;
  }

  async #answer(
    contract: Contract,
    params: Record<string, string>,
    search: URLSearchParams,
    request: IncomingMessage,
  ): Promise<unknown> {
    const bytes = await readAll(request);
    this.#authenticate(contract, request);
    if (contract.headers) parse(contract, 'headers', contract.headers, request.headers);
    const query = contract.query ? parse(contract, 'query', contract.query, Object.fromEntries(search)) : {};
    if (contract.params) parse(contract, 'params', contract.params, params);
    const body =
      contract.binaryBody || !contract.body
        ? {}
        : parse(contract, 'body', contract.body, JSON.parse(bytes.toString()));
    if (contract.headers && Number(request.headers[sessionHeader]) !== this.session)
      throw new AppError('provider/session-stale');
    if (params.lease !== undefined) {
      return this.#leaseCall(contract, this.#claim(params.lease, request), { query, body, bytes });
    }
    switch (contract) {
      case sessionApi.enroll:
        return this.#enrol(read(sessionApi.enroll.body, body));
      case sessionApi.issueCredential:
        return this.#issue(read(sessionApi.issueCredential.body, body));
      case sessionApi.hello:
        return this.#hello(read(sessionApi.hello.body, body));
      case sessionApi.poll:
        return await this.#poll(request);
      case sessionApi.heartbeat:
        return this.#heartbeat(read(sessionApi.heartbeat.body, body));
      case sessionApi.goodbye:
        this.goodbyes.push(read(sessionApi.goodbye.body, body).leaving);
        if (this.goodbyes.at(-1)) this.session += 1;
        return {};
      default:
        throw new Error(`no such call: ${contract.id}`);
    }
  }

  #authenticate(contract: Contract, request: IncomingMessage): void {
    if (contract.audience === 'public') return;
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    if (contract.audience === 'join') {
      if (token !== this.joinToken && token !== this.#enrolled?.token)
        throw new AppError('join-token/invalid');
      return;
    }
    const bearer = parseBearer(token);
    const isOurs =
      bearer?.kind === 'provider' &&
      `prov_${bearer.idSuffix}` === this.#enrolled?.provider_id &&
      this.secretHashes.has(hashSecret(bearer.secret));
    if (!isOurs) throw new AppError('auth/invalid');
  }

  #enrol(body: z.infer<NonNullable<typeof sessionApi.enroll.body>>) {
    const proof = body.secret_hash ?? body.public_key ?? '';
    if (this.#enrolled?.proof !== proof) {
      if (body.public_key !== undefined) {
        const token = this.joinToken.slice(4, 30);
        const text = enrolmentText({ token, publicKey: body.public_key });
        if (!isSignedBy(body.public_key, text, body.signature ?? ''))
          throw new AppError('join-token/invalid');
      } else this.secretHashes.add(proof);
      this.#enrolled = { provider_id: newId('provider'), name: body.name, proof, token: this.joinToken };
      this.joinToken = newBearer('join').token; // the one that was used is spent
    }
    return { provider_id: this.#enrolled.provider_id, name: this.#enrolled.name };
  }

  #issue(body: z.infer<NonNullable<typeof sessionApi.issueCredential.body>>) {
    const { provider_id: providerId, secret_hash: secretHash, at, signature } = body;
    const text = credentialText({ providerId, secretHash, at });
    const isOurs =
      this.#enrolled?.provider_id === providerId && isSignedBy(this.#enrolled.proof, text, signature);
    if (!isOurs || this.secretHashes.has(secretHash)) throw new AppError('auth/invalid');
    const now = Date.now() + this.clockAheadMs;
    if (Math.abs(now - Date.parse(at)) > signatureSeconds * 1_000) {
      throw new AppError('auth/clock-skew', { details: { now: new Date(now).toISOString() } });
    }
    this.secretHashes.add(secretHash);
    return { expires_in_seconds: this.credentialSeconds };
  }

  #hello(body: z.infer<NonNullable<typeof sessionApi.hello.body>>) {
    if (this.#suspended) throw new AppError('provider/suspended');
    this.hellos.push(body);
    this.session += 1;
    for (const lease of this.leases.values()) {
      const named = body.tasks.some((task) => task.lease_id === lease.spec.lease_id);
      if (!named && (lease.state === 'active' || lease.state === 'releasing')) lease.state = 'lost';
    }
    return {
      session: this.session,
      lease_ttl_seconds: this.#settings.leaseTtlSeconds,
      heartbeat_seconds: this.#settings.heartbeatSeconds,
      poll_seconds: 2,
      tasks: body.tasks.map((task) => ({ lease_id: task.lease_id, verdict: this.#verdict(task) })),
    };
  }

  async #poll(request: IncomingMessage) {
    const waitUntil = Date.now() + 2_000;
    while (this.#offers.length === 0 && !this.#nudge && Date.now() < waitUntil && !request.socket.destroyed) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#offered.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, 200);
        this.#offered.add(wake);
      });
    }
    if (request.socket.destroyed) return { offers: [], nudge: false };
    const nudge = this.#nudge;
    this.#nudge = false;
    return { offers: this.#offers.splice(0), nudge };
  }

  #heartbeat(body: z.infer<NonNullable<typeof sessionApi.heartbeat.body>>) {
    const tasks = body.tasks.map((task) => {
      const verdict = this.#verdict(task);
      const lease = this.leases.get(task.lease_id);
      if (lease && verdict !== 'gone') {
        if (lease.taskStates.at(-1) !== task.task_state) lease.taskStates.push(task.task_state);
        if (task.progress) lease.progress.push(task.progress.done_bytes);
        if (task.countersigned) lease.countersigned.push(task.countersigned);
      }
      const metering = lease?.dueRecord;
      if (lease) lease.dueRecord = null;
      const stopWithinSeconds = lease?.stopWithinSeconds ?? null;
      return {
        lease_id: task.lease_id,
        verdict,
        stop_within_seconds: stopWithinSeconds,
        ...(metering ? { metering } : {}),
      };
    });
    if (body.kept_states) this.keptStates.push(body.kept_states);
    const named = (body.kept_states ?? []).map(({ job_id }) => job_id);
    const forget_states = named.filter((id) => this.overJobs.has(id));
    if (body.owner_notice) this.ownerNotices.push(body.owner_notice);
    if (body.cached_images) this.cachedImages.push(body.cached_images);
    return {
      lease_ttl_seconds: this.#settings.leaseTtlSeconds,
      tasks,
      forget_states,
      wanted_images: body.cached_images ? this.wantedImages : [],
    };
  }

  /** Judges a try and, where it goes on, gives it a fresh term. */
  #verdict(task: { lease_id: string; fence: number }): Verdict {
    const lease = this.leases.get(task.lease_id);
    if (!lease || lease.spec.fence !== task.fence) return 'gone';
    this.#expire(lease);
    if (lease.state !== 'active' && lease.state !== 'releasing') return 'gone';
    lease.expiresAtMs = this.#freshTerm();
    return lease.desired;
  }

  #claim(id: string, request: IncomingMessage): FakeLease {
    const lease = this.leases.get(id);
    if (!lease) throw new AppError('lease/not-found');
    this.#expire(lease);
    if (Number(request.headers[fenceHeader]) !== lease.spec.fence) throw new AppError('lease/stale');
    return lease;
  }

  #expire(lease: FakeLease): void {
    const open = lease.state === 'offered' || lease.state === 'active' || lease.state === 'releasing';
    if (open && lease.expiresAtMs < Date.now()) lease.state = 'lost';
  }

  #leaseCall(
    contract: Contract,
    lease: FakeLease,
    given: { query: unknown; body: unknown; bytes: Buffer },
  ): unknown {
    switch (contract) {
      case leaseApi.acceptLease:
        if (lease.state === 'offered') {
          lease.state = 'active';
          lease.expiresAtMs = this.#freshTerm();
          lease.effects.push('accept');
        }
        need(lease, 'active');
        return { lease_ttl_seconds: this.#settings.leaseTtlSeconds };
      case leaseApi.readRegistryLogin:
        need(lease, 'active');
        return { login: this.registryLogin };
      case leaseApi.rejectLease:
        if (lease.state !== 'rejected') need(lease, 'offered');
        lease.state = 'rejected';
        lease.rejectedBecause = read(leaseApi.rejectLease.body, given.body).reason;
        return {};
      case leaseApi.startedLease:
        need(lease, 'active');
        if (!lease.started) lease.effects.push('started');
        lease.started ??= { imageDigest: read(leaseApi.startedLease.body, given.body).image_digest };
        return {};
      case leaseApi.appendLogs:
        need(lease, 'active');
        return this.#appendLogs(lease, read(leaseApi.appendLogs.query, given.query).first_seq, given.bytes);
      case leaseApi.exitedLease:
        need(lease, 'active');
        if (!lease.started) throw new Error('exited before started');
        if (!lease.exited) lease.effects.push('exited');
        lease.exited ??= { exitCode: read(leaseApi.exitedLease.body, given.body).exit_code };
        return {};
      case leaseApi.putArtifact: {
        need(lease, 'active');
        const result = read(leaseApi.putArtifact.query, given.query);
        const sha256 = createHash('sha256').update(given.bytes).digest('hex');
        if (sha256 !== result.sha256 || given.bytes.length !== result.size_bytes)
          throw new AppError('artifact/hash-mismatch');
        lease.results.set(result.path, given.bytes);
        return {};
      }
      case leaseApi.endedLease: {
        const body = read(leaseApi.endedLease.body, given.body);
        const reply = {
          ended_at: new Date().toISOString(),
          ...(lease.lastRecord ? { metering: lease.lastRecord } : {}),
        };
        if (lease.state === 'releasing' || lease.state === 'released') return reply;
        need(lease, 'active');
        if (lease.chunks.length < body.log_chunks) {
          throw new AppError('lease/logs-incomplete', { details: { next_seq: lease.chunks.length } });
        }
        lease.ended = body;
        lease.state = 'releasing';
        lease.effects.push(`ended:${body.reason}`);
        return reply;
      }
      case leaseApi.releasedLease: {
        const { countersigned } = read(leaseApi.releasedLease.body, given.body);
        if (lease.state === 'released') return {};
        if (countersigned) lease.countersigned.push(countersigned);
        need(lease, 'releasing');
        lease.state = 'released';
        lease.effects.push('released');
        return this.onReleased?.(lease).then(() => ({})) ?? {};
      }
      default:
        throw new Error(`no such call: ${contract.id}`);
    }
  }

  #appendLogs(lease: FakeLease, firstSeq: number, bytes: Buffer): { next_seq: number } {
    const chunks = decodeLogFrames(bytes, firstSeq);
    if (!chunks) throw new AppError('lease/bad-frames');
    for (const chunk of chunks) {
      if (chunk.seq === lease.chunks.length) lease.chunks.push({ ...chunk, data: Buffer.from(chunk.data) });
    }
    return { next_seq: lease.chunks.length };
  }

  #freshTerm(): number {
    return Date.now() + this.#settings.leaseTtlSeconds * 1_000;
  }

  #wakePolls(): void {
    for (const wake of this.#offered) wake();
  }
}

/** What a try printed on one stream, as the orchestrator has it. */
export function outputOf(lease: FakeLease, stream = 'stdout'): string {
  return Buffer.concat(
    lease.chunks.filter((chunk) => chunk.stream === stream).map(({ data }) => data),
  ).toString();
}

const contracts: Contract[] = [...Object.values(sessionApi), ...Object.values(leaseApi)].filter(
  (value): value is typeof value & Contract =>
    typeof value === 'object' && 'path' in value && 'audience' in value,
);

function matchRoute(
  method: string,
  path: string,
): { contract: Contract; params: Record<string, string> } | null {
  for (const contract of contracts) {
    const pattern = new RegExp(`^${contract.path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`);
    const match = contract.method === method ? pattern.exec(path) : null;
    if (match) return { contract, params: { ...match.groups } };
  }
  return null;
}

/** The value as a contract's part has it; parsed already, so that this cannot fail. */
function read<S extends z.ZodType>(schema: S | undefined, value: unknown): z.output<S> {
  if (!schema) throw new Error('the contract has no such part');
  return schema.parse(value);
}

function parse(contract: Contract, part: string, schema: z.ZodType, value: unknown): unknown {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new Error(`${contract.id} ${part}: ${parsed.error.message}`);
  return parsed.data;
}

function need(lease: FakeLease, state: FakeLease['state']): void {
  if (lease.state !== state) throw new AppError('lease/stale');
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
