import { machineCredentials } from '@computefabric/db/schema/machine-credentials';
import { providers } from '@computefabric/db/schema/providers';
import { bearerToken, hashSecret, newSecret } from '@computefabric/protocol/api-key';
import type { ProviderId } from '@computefabric/protocol/ids';
import { credentialText, enrolmentText } from '@computefabric/protocol/provider-api/v1/machine-key';
import { enroll, issueCredential } from '@computefabric/protocol/provider-api/v1/session';
import { createJoinToken } from '@computefabric/protocol/user-api/machines';
import { newPrivateKey, type Signer, signerOf } from '@computefabric/runtime/receipts/signatures';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testInventory } from '../testing/market-fixture.ts';
import { errorOf, parsed } from '../testing/replies.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';
import { forgetCredentials } from './machine-credential.store.ts';

/* R41: who a machine is, is its key. The key joins once with a token, and signs for a credential that ends. */

let market: TestMarket;
let owner: TestUser;
beforeAll(async () => {
  market = await startTestMarket();
  owner = await market.addUser();
});
afterAll(() => market.close());

async function newToken(user = owner): Promise<string> {
  const asked = await market.call('/v1/join-tokens', { method: 'POST', token: user.token, json: {} });
  return parsed(createJoinToken.reply, asked).token;
}

async function join(token: string, signer: Signer, signsFor = token) {
  const text = enrolmentText({ token: signsFor.slice(4, 30), publicKey: signer.publicKey });
  return await market.call('/provider/v1/enroll', {
    method: 'POST',
    token,
    json: { name: 'm', agent_version: '2', public_key: signer.publicKey, signature: await signer.sign(text) },
  });
}

async function machine(): Promise<{ id: ProviderId; signer: Signer }> {
  const signer = signerOf(newPrivateKey());
  return { id: parsed(enroll.reply, await join(await newToken(), signer)).provider_id, signer };
}

async function askFor(
  id: ProviderId,
  signer: Signer,
  { secret = newSecret(), at = new Date().toISOString() } = {},
) {
  const secretHash = hashSecret(secret);
  const json = {
    provider_id: id,
    secret_hash: secretHash,
    at,
    signature: await signer.sign(credentialText({ providerId: id, secretHash, at })),
  };
  const send = (change: object = {}) =>
    market.call('/provider/v1/credential', { method: 'POST', json: { ...json, ...change } });
  return { send, bearer: bearerToken('provider', id.slice('prov_'.length), secret) };
}

const hello = (bearer: string, change: object = {}) =>
  market.call('/provider/v1/hello', {
    method: 'POST',
    token: bearer,
    json: { agent_version: '2', inventory: testInventory, tasks: [], ...change },
  });

test('a token is good for 15 minutes and one machine, also when many come with it at once', async () => {
  const asked = await market.call('/v1/join-tokens', { method: 'POST', token: owner.token, json: {} });
  const { token, expires_at } = parsed(createJoinToken.reply, asked);
  const ms = Date.parse(expires_at) - Date.now();
  expect(ms).toBeGreaterThan(14 * 60_000);
  expect(ms).toBeLessThanOrEqual(15 * 60_000 + 5_000);
  const signers = Array.from({ length: 8 }, () => signerOf(newPrivateKey()));
  const answers = await Promise.all(signers.map((signer) => join(token, signer)));
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 401)).toHaveLength(7);
  const rows = await market.db.select().from(providers).where(eq(providers.ownerId, owner.userId));
  expect(rows).toHaveLength(1);
  const winner = signers[answers.findIndex(({ status }) => status === 201)];
  if (!winner) throw new Error('one has joined');
  // It has not heard the answer: the same key gets the same machine.
  const repeats = await Promise.all([join(token, winner), join(token, winner)]);
  for (const repeat of repeats) expect(parsed(enroll.reply, repeat).provider_id).toBe(rows[0]?.id);
  // With a fresh token, too: whoever installs again keeps the machine.
  expect(parsed(enroll.reply, await join(await newToken(), winner)).provider_id).toBe(rows[0]?.id);
});

test('nobody joins with a key that is not theirs', async () => {
  const mine = signerOf(newPrivateKey());
  const theirs = signerOf(newPrivateKey());
  const token = await newToken();
  const forged: Signer = { ...mine, sign: (text) => theirs.sign(text) };
  expect(errorOf(await join(token, forged)).code).toBe('join-token/invalid');
  // A signature that was made for another token is none for this one.
  expect(errorOf(await join(token, mine, await newToken())).code).toBe('join-token/invalid');
  const both = { name: 'm', agent_version: '2', public_key: mine.publicKey, secret_hash: hashSecret('x') };
  const answer = await market.call('/provider/v1/enroll', { method: 'POST', token, json: both });
  expect(answer.status).toBe(400);
  // None of this has spent the token. A key that another owner has joined with is refused.
  expect((await join(token, mine)).status).toBe(201);
  const other = await market.addUser();
  expect(errorOf(await join(await newToken(other), mine)).code).toBe('provider/key-taken');
});

test('a signature gets a credential that opens the machine until it ends', async () => {
  const { id, signer } = await machine();
  const { send, bearer } = await askFor(id, signer);
  expect((await hello(bearer)).status).toBe(401);
  expect(parsed(issueCredential.reply, await send()).expires_in_seconds).toBe(3_600);
  expect((await hello(bearer)).status).toBe(200);
  expect((await hello(bearer, { signing_key: signer.publicKey })).status).toBe(200);
  const stranger = signerOf(newPrivateKey()).publicKey;
  expect(errorOf(await hello(bearer, { signing_key: stranger })).code).toBe('provider/key-taken');

  const next = await askFor(id, signer);
  await next.send();
  expect((await hello(next.bearer)).status).toBe(200);
  // The earlier one goes on for a moment, for the calls that are under way.
  expect((await hello(bearer)).status).toBe(200);
  await market.db
    .update(machineCredentials)
    .set({ expiresAt: sql`now() - interval '1 ms'` })
    .where(eq(machineCredentials.providerId, id));
  const last = await askFor(id, signer);
  await last.send();
  expect((await hello(last.bearer)).status).toBe(200); // and the memory of another one is gone with it
  expect((await hello(next.bearer)).status).toBe(401);
  expect((await hello(bearer)).status).toBe(401);
  expect(await forgetCredentials(market.db)).toBe(2);
});

test('forged, replayed, old, altered and foreign signatures get 401 and change nothing', async () => {
  const one = await machine();
  const other = await machine();
  const good = await askFor(one.id, one.signer);
  expect((await good.send()).status).toBe(201);
  const before = await market.db.select().from(machineCredentials).orderBy(machineCredentials.secretHash);
  const minutes = (count: number) => new Date(Date.now() + count * 60_000).toISOString();
  const attacks = {
    'the same call again': await good.send(),
    'another key': await (await askFor(one.id, other.signer)).send(),
    'a machine that is not there': await (await askFor('prov_00000000000000000000000000', one.signer)).send(),
    'a secret of somebody else put in': await (await askFor(one.id, one.signer)).send({
      secret_hash: hashSecret('mine'),
    }),
    'another machine put in': await (await askFor(one.id, one.signer)).send({ provider_id: other.id }),
    'another time put in': await (await askFor(one.id, one.signer)).send({ at: minutes(0.1) }),
    'of two minutes ago': await (await askFor(one.id, one.signer, { at: minutes(-2) })).send(),
    'of in two minutes': await (await askFor(one.id, one.signer, { at: minutes(2) })).send(),
  };
  for (const [attack, { status }] of Object.entries(attacks)) expect(status, attack).toBe(401);
  expect(errorOf(attacks['of two minutes ago']).code).toBe('auth/clock-skew');
  expect(await market.db.select().from(machineCredentials).orderBy(machineCredentials.secretHash)).toEqual(
    before,
  );
  // A machine with a key has no secret for ever, so an empty one opens nothing.
  expect((await hello(bearerToken('provider', one.id.slice(5), newSecret()))).status).toBe(401);
});
