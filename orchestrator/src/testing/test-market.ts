import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Db } from '@computefabric/db/client';
import { createTestDatabase } from '@computefabric/db/testing';
import { newBearer } from '@computefabric/protocol/api-key';
import type { ApiKeyId, UserId } from '@computefabric/protocol/ids';
import type { UserRole } from '@computefabric/protocol/user-api/account';
import { Lifecycle } from '@computefabric/runtime/lifecycle';
import { silentLogger } from '@computefabric/runtime/log';
import { insertKey } from '../accounts/api-key.store.ts';
import { ensureUser } from '../accounts/user.store.ts';
import { compose } from '../compose.ts';
import { type Config, parseConfig } from '../config.ts';
import { grantPlayMoney } from '../ledger/grant-play-money.ts';

export interface TestUser {
  userId: UserId;
  keyId: ApiKeyId;
  token: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** The body as text. */
  text: string;
}

export interface CallOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'HEAD';
  token?: string;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: string | Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface TestMarket {
  url: string;
  databaseUrl: string;
  db: Db;
  config: Config;
  /** Somebody with an API key and play money (default 100 USD). */
  addUser(options?: { role?: UserRole; micros?: bigint }): Promise<TestUser>;
  /** Sends a request with an Idempotency-Key of its own unless one is given. */
  call(path: string, options?: CallOptions): Promise<Answer>;
  close(): Promise<void>;
}

/** The whole orchestrator, composed as in production, on a database and a free port of its own. */
export async function startTestMarket(settings: Record<string, string> = {}): Promise<TestMarket> {
  const database = await createTestDatabase();
  const home = await mkdtemp(join(tmpdir(), 'cf-orchestrator-'));
  const lifecycle = new Lifecycle(silentLogger);
  const parsed = parseConfig({ COMPUTEFABRIC_HOME: home, ...settings });
  const config: Config = { ...parsed, http: { host: '127.0.0.1', port: 0 } };
  const close = async () => {
    await lifecycle.close();
    await database.close();
    await rm(home, { recursive: true, force: true });
  };
  const { db, server } = await compose(config, database.url, lifecycle, silentLogger).catch(
    async (thrown) => {
      await close();
      throw thrown;
    },
  );
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;

  return {
    url,
    databaseUrl: database.url,
    db,
    config,
    close,

    async addUser({ role = 'member', micros = 100_000_000n } = {}) {
      const { token, idSuffix, secretHash } = newBearer('user');
      const keyId = `key_${idSuffix}` as const;
      const userId = await db.transaction(async (tx) => {
        const email = `${randomUUID()}@test.invalid`;
        const id = await ensureUser(tx, { email, role, displayName: 'Test user' });
        await insertKey(tx, { id: keyId, userId: id, kind: 'user', name: 'test', secretHash }, null);
        await grantPlayMoney(tx, id, micros);
        return id;
      });
      return { userId, keyId, token };
    },

    async call(path, { method = 'GET', token, json, body, headers = {}, signal } = {}) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...(method === 'GET' ? {} : { 'idempotency-key': randomUUID() }),
          ...headers,
        },
        ...(json === undefined ? (body === undefined ? {} : { body }) : { body: JSON.stringify(json) }),
        ...(signal === undefined ? {} : { signal }),
      });
      return { status: response.status, headers: response.headers, text: await response.text() };
    },
  };
}
