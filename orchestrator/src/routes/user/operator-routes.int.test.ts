import { newId } from '@computefabric/protocol/ids';
import { createJob, getJob } from '@computefabric/protocol/user-api/jobs';
import { setMachineTier } from '@computefabric/protocol/user-api/operator';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorOf, parsed } from '../../testing/replies.ts';
import { TestAgent } from '../../testing/test-agent.ts';
import { startTestMarket, type TestMarket } from '../../testing/test-market.ts';
import { waitUntil } from '../../testing/wait-until.ts';

let market: TestMarket;
beforeAll(async () => {
  market = await startTestMarket();
});
afterAll(() => market.close());

const patch = (token: string, provider: string, tier: string) =>
  market.call(`/v1/admin/providers/${provider}`, { method: 'PATCH', token, json: { tier } });

test('a job that asks for a trusted machine starts when the operator vouches for one, and nobody else can', async () => {
  const [renter, owner, operator] = [
    await market.addUser(),
    await market.addUser(),
    await market.addUser({ role: 'operator' }),
  ];
  const { providerId } = await TestAgent.join(market, owner);
  const json = { image: 'busybox', requirements: { min_tier: 'trusted' } };
  const submitted = await market.call('/v1/jobs', { method: 'POST', token: renter.token, json });
  const { id, state } = parsed(createJob.reply, submitted);
  expect(state).toBe('queued');

  const refused = await patch(owner.token, providerId, 'trusted');
  expect([refused.status, errorOf(refused).code]).toEqual([403, 'auth/forbidden']);
  expect((await patch(operator.token, newId('provider'), 'trusted')).status).toBe(404);
  expect((await patch(operator.token, providerId, 'splendid')).status).toBe(400);
  expect(parsed(setMachineTier.reply, await patch(operator.token, providerId, 'trusted'))).toMatchObject({
    id: providerId,
    tier: 'trusted',
  });
  await waitUntil('the job has the machine', async () => {
    const job = parsed(getJob.reply, await market.call(`/v1/jobs/${id}`, { token: renter.token }));
    return job.state === 'preparing';
  });
});
