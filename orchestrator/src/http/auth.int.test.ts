import { hashSecret, newBearer } from '@computefabric/protocol/api-key';
import { apiKeys } from '@computefabric/db/schema/api-keys';
import { createJoinToken } from '@computefabric/protocol/user-api/machines';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorOf, parsed } from '../testing/replies.ts';
import { TestAgent } from '../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';

let market: TestMarket;
let user: TestUser;
let agent: TestAgent;
beforeAll(async () => {
  market = await startTestMarket();
  user = await market.addUser();
  agent = await TestAgent.join(market, user);
});
afterAll(() => market.close());

const flip = (text: string) => text.slice(0, -2) + (text.at(-2) === 'A' ? 'B' : 'A') + text.at(-1);

test('no forged, foreign, dead or mangled token opens anything (R37)', async () => {
  const { token } = user;
  const [prefix, id, secret] = [token.slice(0, 2), token.slice(3, 29), token.slice(30)];
  const victim = await market.addUser();
  const dead = async (change: object) => {
    const one = await market.addUser();
    await market.db.update(apiKeys).set(change).where(eq(apiKeys.id, one.keyId));
    return one.token;
  };
  const joinToken = parsed(
    createJoinToken.reply,
    await market.call('/v1/join-tokens', { method: 'POST', token, json: {} }),
  ).token;
  const attacks: Record<string, string | undefined> = {
    'no header': undefined,
    'an empty bearer': 'Bearer ',
    'another scheme': `Basic ${Buffer.from(`x:${token}`).toString('base64')}`,
    'the token without a scheme': token,
    'words that are no token': 'Bearer let-me-in',
    'one letter changed': `Bearer ${flip(token)}`,
    'the last letter missing': `Bearer ${token.slice(0, -1)}`,
    'a letter too many': `Bearer ${token}A`,
    'a fresh token that was never given out': `Bearer ${newBearer('user').token}`,
    "somebody's id with another's secret": `Bearer cf_${victim.token.slice(3, 29)}_${secret}`,
    'the stored hash instead of the secret': `Bearer cf_${id}_${hashSecret(secret).slice(0, 43)}`,
    'the prefix in capitals': `Bearer ${prefix.toUpperCase()}_${id}_${secret}`,
    'two tokens': `Bearer ${token} ${token}`,
    'SQL in the id': `Bearer cf_' or '1'='1_${secret}`,
    'a revoked key': `Bearer ${await dead({ revokedAt: sql`now()` })}`,
    'an expired key': `Bearer ${await dead({ expiresAt: sql`now() - interval '1 ms'` })}`,
    "a machine's credential": `Bearer ${agent.credential}`,
    'a join token': `Bearer ${joinToken}`,
    'a join token dressed as a key': `Bearer ${joinToken.replace('cfj_', 'cf_')}`,
    'a credential dressed as a key': `Bearer ${agent.credential.replace('cfp_', 'cf_')}`,
  };
  expect(Object.keys(attacks).length).toBeGreaterThanOrEqual(12);
  for (const [attack, authorization] of Object.entries(attacks)) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    for (const [path, method] of [
      ['/v1/me', 'GET'],
      ['/v1/jobs', 'POST'],
    ] as const) {
      const answer = await market.call(path, { method, headers });
      expect(answer.status, `${attack} at ${path}`).toBe(401);
      expect(errorOf(answer).code, attack).toMatch(/^auth\/(missing|invalid)$/);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
  }
  // In the address it is not looked for at all.
  expect((await market.call(`/v1/me?token=${token}&access_token=${token}`)).status).toBe(401);
  expect((await market.call('/v1/me', { token })).status).toBe(200);
});

test("the machines' door opens to credentials alone", async () => {
  const call = (token: string) =>
    market.call('/provider/v1/heartbeat', {
      method: 'POST',
      token,
      json: { tasks: [] },
      headers: { 'computefabric-session': String(agent.session) },
    });
  for (const token of [
    user.token,
    user.token.replace('cf_', 'cfp_'),
    flip(agent.credential),
    newBearer('provider').token,
    newBearer('provider', agent.credential.slice(4, 30)).token,
  ]) {
    expect((await call(token)).status).toBe(401);
  }
  expect((await call(agent.credential)).status).toBe(200);
});

test('nobody without a key can make us read a body', async () => {
  const answer = await market.call('/v1/jobs', { method: 'POST', body: '{"this is": not even JSON' });
  expect(errorOf(answer).code).toBe('auth/missing');
});

test('a revoked key is dead for the very next request', async () => {
  const one = await market.addUser();
  expect((await market.call('/v1/me', { token: one.token })).status).toBe(200);
  await market.call(`/v1/api-keys/${one.keyId}`, { method: 'DELETE', token: one.token });
  expect((await market.call('/v1/me', { token: one.token })).status).toBe(401);
});

test('the last use of a key is written once a minute and not with every request', async () => {
  const one = await market.addUser();
  const lastUsed = async () => {
    const [row] = await market.db.select().from(apiKeys).where(eq(apiKeys.id, one.keyId));
    return row?.lastUsedAt;
  };
  await market.call('/v1/me', { token: one.token });
  const first = await lastUsed();
  expect(first).toBeInstanceOf(Date);
  await market.call('/v1/me', { token: one.token });
  expect(await lastUsed()).toEqual(first);
  await market.db
    .update(apiKeys)
    .set({ lastUsedAt: sql`now() - interval '61 s'` })
    .where(eq(apiKeys.id, one.keyId));
  await market.call('/v1/me', { token: one.token });
  expect((await lastUsed())?.getTime()).toBeGreaterThanOrEqual(first?.getTime() ?? Number.POSITIVE_INFINITY);
});
