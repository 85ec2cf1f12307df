import { apiKeys } from '@computefabric/db/schema/api-keys';
import { idempotencyKeys } from '@computefabric/db/schema/idempotency-keys';
import { hashSecret } from '@computefabric/protocol/api-key';
import { createApiKey, listApiKeys, whoAmI } from '@computefabric/protocol/user-api/account';
import {
  createJoinToken,
  getMachine,
  listMachines,
  listMachineTries,
} from '@computefabric/protocol/user-api/machines';
import { createQuote, listOffers } from '@computefabric/protocol/user-api/quotes';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testCards } from '../../testing/market-fixture.ts';
import { errorOf, parsed } from '../../testing/replies.ts';
import { TestAgent } from '../../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../../testing/test-market.ts';

let market: TestMarket;
beforeAll(async () => {
  market = await startTestMarket();
});
afterAll(() => market.close());

const makeKey = (user: TestUser, json: object, headers: Record<string, string> = {}) =>
  market.call('/v1/api-keys', { method: 'POST', token: user.token, json, headers });

describe('API keys', () => {
  test('a new key works, is listed without its secret, and is dead as soon as it is revoked', async () => {
    const user = await market.addUser();
    const key = parsed(createApiKey.reply, await makeKey(user, { name: ' laptop ', expires_in_seconds: 60 }));
    expect(key).toMatchObject({ name: 'laptop', revoked_at: null, last_used_at: null });
    expect(key.token.startsWith(key.prefix)).toBe(true);
    const me = parsed(whoAmI.reply, await market.call('/v1/me', { token: key.token }));
    expect(me).toMatchObject({
      user: { id: user.userId, role: 'member' },
      key: { id: key.id, name: 'laptop' },
    });
    const list = await market.call('/v1/api-keys', { token: user.token });
    expect(list.text).not.toContain(key.token.slice(-43));
    const listed = parsed(listApiKeys.reply, list).items.find(({ id }) => id === key.id);
    expect(listed?.last_used_at).not.toBeNull();
    const revoked = await market.call(`/v1/api-keys/${key.id}`, { method: 'DELETE', token: user.token });
    expect(revoked).toMatchObject({ status: 204, text: '' });
    const dead = await market.call('/v1/me', { token: key.token });
    expect(dead.status).toBe(401);
    expect(errorOf(dead).code).toBe('auth/invalid');
    expect(
      (await market.call(`/v1/api-keys/${key.id}`, { method: 'DELETE', token: user.token })).status,
    ).toBe(204);
  });

  test('an expired key is dead', async () => {
    const user = await market.addUser();
    const key = parsed(createApiKey.reply, await makeKey(user, { name: 'short', expires_in_seconds: 60 }));
    await market.db.update(apiKeys).set({ expiresAt: sql`now()` }).where(eq(apiKeys.id, key.id));
    expect((await market.call('/v1/me', { token: key.token })).status).toBe(401);
  });

  test('404 for a key of somebody else, which stays alive', async () => {
    const [user, other] = [await market.addUser(), await market.addUser()];
    const answer = await market.call(`/v1/api-keys/${other.keyId}`, { method: 'DELETE', token: user.token });
    expect(answer.status).toBe(404);
    expect((await market.call('/v1/me', { token: other.token })).status).toBe(200);
  });

  test('a repeat gives the same secret, which the database does not have in readable form', async () => {
    const user = await market.addUser();
    const headers = { 'idempotency-key': 'once' };
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => makeKey(user, { name: 'x' }, headers)),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const key = parsed(createApiKey.reply, answers[0] ?? { status: 500, text: '', headers: new Headers() });
    const rows = await market.db
      .select()
      .from(idempotencyKeys)
      .where(eq(idempotencyKeys.userId, user.userId));
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain(key.token.slice(-43));
    // With another key of the same user it cannot be opened, and no second key comes of it.
    const elsewhere = await makeKey({ ...user, token: key.token }, { name: 'x' }, headers);
    expect(errorOf(elsewhere).code).toBe('request/idempotency-key-reused');
    const keys = parsed(listApiKeys.reply, await market.call('/v1/api-keys', { token: user.token }));
    expect(keys.items).toHaveLength(2);
  });
});

describe('machines', () => {
  test('a join token lets one machine in, once; its owner sees it and what it offers', async () => {
    const owner = await market.addUser();
    const asked = await market.call('/v1/join-tokens', { method: 'POST', token: owner.token, json: {} });
    const { token } = parsed(createJoinToken.reply, asked);
    const enroll = (secret: string) => {
      const json = { name: 'm', agent_version: '1', secret_hash: hashSecret(secret) };
      return market.call('/provider/v1/enroll', { method: 'POST', token, json });
    };
    const answers = await Promise.all(['a', 'b', 'c'].map(enroll));
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['201', '401', '401']);
    const machines = parsed(listMachines.reply, await market.call('/v1/providers', { token: owner.token }));
    expect(machines.items).toMatchObject([{ name: 'm', state: 'pending', earned_micros: '0' }]);
    const id = machines.items[0]?.id ?? '';
    const one = parsed(getMachine.reply, await market.call(`/v1/providers/${id}`, { token: owner.token }));
    expect(one).toEqual(machines.items[0]);
    const foreign = await market.call(`/v1/providers/${id}`, { token: (await market.addUser()).token });
    expect(foreign.status).toBe(404);
    expect(errorOf(foreign).code).toBe('provider/not-found');
  });

  test('their owner sees how each try ended and what it earned, and nothing of who rented or what ran', async () => {
    const [owner, renter] = [await market.addUser(), await market.addUser()];
    const agent = await TestAgent.join(market, owner, { region: 'tries-here' });
    const secret = 'canary-of-the-renter';
    for (const exitCode of [0, 3]) {
      const spec = {
        name: `${secret}-${exitCode}`,
        image: `example/${secret}`,
        command: secret,
        env: { TOKEN: secret },
        requirements: { regions: ['tries-here'] },
      };
      await market.call('/v1/jobs', { method: 'POST', token: renter.token, json: spec });
      const task = await agent.acceptNext();
      await task.start();
      await task.finish(exitCode);
    }
    const tries = async (query = '') => {
      const path = `/v1/providers/${agent.providerId}/tries${query}`;
      const answer = await market.call(path, { token: owner.token });
      expect(answer.text).not.toContain(secret);
      return parsed(listMachineTries.reply, answer);
    };
    const { items, next_cursor } = await tries('?limit=1');
    expect(items).toMatchObject([{ end_reason: 'exited-nonzero', exit_code: 3, record: 'for', cpus: 1 }]);
    const rest = await tries(`?cursor=${next_cursor}`);
    expect(rest).toMatchObject({ items: [{ end_reason: 'exited-zero', exit_code: 0 }], next_cursor: null });
    const [first] = rest.items;
    expect(first?.billed_ms).toBeGreaterThan(0);
    const path = `/v1/providers/${agent.providerId}/tries`;
    expect((await market.call(path, { token: renter.token })).status).toBe(404);
    await agent.call('/goodbye', { leaving: true });
  });

  test('offers and quotes show what is on the market, what it costs, and why a job would wait', async () => {
    const [owner, renter] = [await market.addUser(), await market.addUser({ micros: 500_000n })];
    const agent = await TestAgent.join(market, owner, { gpus: testCards(2) });
    const offers = async (query: string) =>
      parsed(listOffers.reply, await market.call(`/v1/offers?${query}`, { token: renter.token })).items.map(
        ({ provider_id }) => provider_id,
      );
    expect(await offers('gpus=2')).toEqual([agent.providerId]);
    expect(await offers('gpu_model=rtx4090&min_vram_mib=24000')).toEqual([agent.providerId]);
    for (const query of ['gpus=3', 'gpu_model=H100', 'min_vram_mib=40000'])
      expect(await offers(query)).toEqual([]);
    const quote = async (json: object) =>
      parsed(
        createQuote.reply,
        await market.call('/v1/quotes', {
          method: 'POST',
          token: renter.token,
          json: { image: 'x', ...json },
        }),
      );
    expect(await quote({ requirements: { gpus: 2 } })).toMatchObject({
      offers: [
        { provider_id: agent.providerId, price_per_hour_micros: '720000', gpus_free: 2, simulated: true },
      ],
      hold_micros: '2000000',
      balance_micros: '500000',
      affordable: false,
      play_money: true,
      waiting: null,
    });
    const waits = await quote({ requirements: { gpus: 1, min_vram_mib: 80_000 }, time_limit_seconds: 1 });
    expect(waits).toMatchObject({ offers: [], affordable: true, hold_micros: '278' });
    expect(waits.waiting?.filters.map(({ filter }) => filter)).toContain('vram');
  });
});
