import { bearerToken, hashSecret, newSecret } from '@computefabric/protocol/api-key';
import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { encodeLogFrames, type LogStream } from '@computefabric/protocol/log-frames';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import * as leaseApi from '@computefabric/protocol/provider-api/v1/leases';
import * as sessionApi from '@computefabric/protocol/provider-api/v1/session';
import { type MeteringRecord, recordText } from '@computefabric/protocol/receipts/metering';
import { createJoinToken } from '@computefabric/protocol/user-api/machines';
import { newPrivateKey, type Signer, signerOf } from '@computefabric/runtime/receipts/signatures';
import { testInventory } from './market-fixture.ts';
import { parsed } from './replies.ts';
import type { Answer, TestMarket, TestUser } from './test-market.ts';

/** A machine's agent as the orchestrator sees it: HTTP calls, no containers. */
export class TestAgent {
  readonly providerId: ProviderId;
  readonly credential: string;
  /** Null: an agent of before there were signatures. */
  signer: Signer | null = signerOf(newPrivateKey());
  readonly #market: TestMarket;
  session = 0;

  private constructor(market: TestMarket, providerId: ProviderId, credential: string) {
    this.#market = market;
    this.providerId = providerId;
    this.credential = credential;
  }

  /** Joins with a token of the owner and says hello. */
  static async join(
    market: TestMarket,
    owner: TestUser,
    inventory: Partial<Inventory> = {},
  ): Promise<TestAgent> {
    const asked = await market.call('/v1/join-tokens', { method: 'POST', token: owner.token, json: {} });
    const { token } = parsed(createJoinToken.reply, asked);
    const secret = newSecret();
    const body = { name: 'test machine', agent_version: '1', secret_hash: hashSecret(secret) };
    const enrolled = await market.call('/provider/v1/enroll', { method: 'POST', token, json: body });
    const { provider_id } = parsed(sessionApi.enroll.reply, enrolled);
    const credential = bearerToken('provider', provider_id.slice('prov_'.length), secret);
    const agent = new TestAgent(market, provider_id, credential);
    await agent.hello(inventory);
    return agent;
  }

  async hello(inventory: Partial<Inventory> = {}): Promise<void> {
    const answer = await this.call('/hello', {
      agent_version: '1',
      inventory: { ...testInventory, ...inventory },
      tasks: [],
      ...(this.signer ? { signing_key: this.signer.publicKey } : {}),
    });
    this.session = parsed(sessionApi.hello.reply, answer).session;
  }

  /** Waits for an offer and takes it. */
  async acceptNext(): Promise<TestTask> {
    for (;;) {
      const { offers } = parsed(sessionApi.poll.reply, await this.call('/poll', {}));
      const [offer] = offers;
      if (!offer) continue;
      const task = new TestTask(this, offer.lease_id, offer.fence);
      parsed(leaseApi.acceptLease.reply, await task.call('/accept', {}));
      return task;
    }
  }

  call(path: string, json: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#market.call(`/provider/v1${path}`, {
      method: 'POST',
      token: this.credential,
      json,
      headers: { 'computefabric-session': String(this.session), ...headers },
    });
  }

  /** Bytes about a lease. */
  send(method: 'POST' | 'PUT', path: string, body: Uint8Array<ArrayBuffer>, fence: number): Promise<Answer> {
    return this.#market.call(`/provider/v1${path}`, {
      method,
      token: this.credential,
      body,
      headers: {
        'content-type': 'application/octet-stream',
        'computefabric-session': String(this.session),
        'computefabric-fence': String(fence),
      },
    });
  }
}

/** One try that the agent has accepted. */
export class TestTask {
  readonly #agent: TestAgent;
  readonly leaseId: LeaseId;
  readonly fence: number;
  #nextSeq = 0;

  constructor(agent: TestAgent, leaseId: LeaseId, fence: number) {
    this.#agent = agent;
    this.leaseId = leaseId;
    this.fence = fence;
  }

  call(path: string, json: unknown): Promise<Answer> {
    const headers = { 'computefabric-fence': String(this.fence) };
    return this.#agent.call(`/leases/${this.leaseId}${path}`, json, headers);
  }

  async start(): Promise<void> {
    parsed(leaseApi.startedLease.reply, await this.call('/started', { image_digest: null }));
  }

  /** Sends these texts as one batch of chunks. */
  async print(texts: readonly string[], stream: LogStream = 'stdout'): Promise<number> {
    const answer = await this.sendLogs(this.#nextSeq, texts, stream);
    this.#nextSeq = parsed(leaseApi.appendLogs.reply, answer).next_seq;
    return this.#nextSeq;
  }

  sendLogs(firstSeq: number, texts: readonly string[], stream: LogStream = 'stdout'): Promise<Answer> {
    const chunks = texts.map((text, index) => ({
      seq: firstSeq + index,
      stream,
      atMs: 1_700_000_000_000,
      data: Buffer.from(text),
    }));
    const path = `/leases/${this.leaseId}/logs?first_seq=${firstSeq}`;
    return this.#agent.send('POST', path, encodeLogFrames(chunks), this.fence);
  }

  putArtifact(path: string, sha256: string, bytes: Uint8Array<ArrayBuffer>, sizeBytes = bytes.byteLength) {
    const query = new URLSearchParams({ path, sha256, size_bytes: String(sizeBytes) });
    return this.#agent.send(
      'PUT',
      `/leases/${this.leaseId}/artifacts?${query.toString()}`,
      bytes,
      this.fence,
    );
  }

  /** The program has ended and the container is gone. */
  async finish(exitCode = 0): Promise<void> {
    parsed(leaseApi.exitedLease.reply, await this.call('/exited', { exit_code: exitCode }));
    const reason = exitCode === 0 ? 'exited-zero' : 'exited-nonzero';
    const body = { reason, detail: null, exit_code: exitCode, log_chunks: this.#nextSeq };
    const { metering } = parsed(leaseApi.endedLease.reply, await this.call('/ended', body));
    const countersigned = metering && (await this.countersign(metering));
    const released = await this.call('/released', countersigned ? { countersigned } : {});
    parsed(leaseApi.releasedLease.reply, released);
  }

  /** The agent's signature of a record of this try; none from an old agent. */
  async countersign(record: MeteringRecord) {
    const { signer } = this.#agent;
    if (!signer) return undefined;
    const signature = await signer.sign(recordText(this, record));
    return { seq: record.seq, key: signer.keyId, signature };
  }
}
