import { hashSecret, newSecret, bearerToken } from '@computefabric/protocol/api-key';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import { sessionHeader } from '@computefabric/protocol/provider-api/v1/common';
import { enroll, hello } from '@computefabric/protocol/provider-api/v1/session';
import { createJoinToken, getMachine } from '@computefabric/protocol/user-api/machines';
import { listOffers } from '@computefabric/protocol/user-api/quotes';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testInventory } from '../testing/market-fixture.ts';
import { parsed } from '../testing/replies.ts';
import { startTestMarket, type TestMarket } from '../testing/test-market.ts';

let market: TestMarket;
beforeAll(async () => {
  market = await startTestMarket();
});
afterAll(() => market.close());

test('what an agent says of its owner’s rules is shown to the owner, and renters see only that it is not lent', async () => {
  const { token } = await market.addUser();
  const post = (path: string, bearer: string, json: object, headers = {}) =>
    market.call(path, { method: 'POST', token: bearer, json, headers });
  const join = parsed(createJoinToken.reply, await post('/v1/join-tokens', token, {}));
  const secret = newSecret();
  const machine = { name: 'm', agent_version: '2', secret_hash: hashSecret(secret) };
  const { provider_id: id } = parsed(enroll.reply, await post('/provider/v1/enroll', join.token, machine));
  const bearer = bearerToken('provider', id.slice('prov_'.length), secret);
  const greet = async (change: object = {}) => {
    const body = { agent_version: '2', inventory: testInventory, tasks: [], ...change };
    return parsed(hello.reply, await post('/provider/v1/hello', bearer, body)).session;
  };
  const shown = async () => {
    const seen = parsed(getMachine.reply, await market.call(`/v1/providers/${id}`, { token }));
    const { items } = parsed(listOffers.reply, await market.call('/v1/offers', { token }));
    return {
      notice: seen.owner_notice,
      offered: items.find((offer) => offer.provider_id === id)?.availability,
    };
  };
  const used: OwnerNotice = { state: 'owner', reason: 'schedule', accepts_work: false, until: null };
  const free: OwnerNotice = { state: 'unclaimed', reason: 'ready', accepts_work: true, until: null };

  const session = await greet({ owner_notice: used });
  expect(await shown()).toEqual({ notice: used, offered: 'paused' });
  const headers = { [sessionHeader]: String(session) };
  const beat = (json: object) => post('/provider/v1/heartbeat', bearer, { tasks: [], ...json }, headers);
  expect((await beat({ owner_notice: free })).status).toBe(200);
  expect(await shown()).toEqual({ notice: free, offered: 'open' });
  // A heartbeat that says nothing of it changes nothing; words beside the codes are not taken.
  expect((await beat({})).status).toBe(200);
  expect((await beat({ owner_notice: { ...used, sentence: 'game.exe runs.' } })).status).toBe(400);
  expect(await shown()).toEqual({ notice: free, offered: 'open' });
  // An agent that does not tell, after one that kept the machine back, takes work.
  await beat({ owner_notice: used });
  await greet();
  expect(await shown()).toEqual({ notice: null, offered: 'open' });
});
