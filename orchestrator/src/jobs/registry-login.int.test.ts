import { registryLogins } from '@computefabric/db/schema/registry-logins';
import { readRegistryLogin } from '@computefabric/protocol/provider-api/v1/leases';
import { encodeRegistryLogin, registryLoginHeader } from '@computefabric/protocol/registry-login';
import { createJob } from '@computefabric/protocol/user-api/jobs';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parsed } from '../testing/replies.ts';
import { TestAgent } from '../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';

let market: TestMarket;
let renter: TestUser;

beforeAll(async () => {
  market = await startTestMarket({ SECRETS_KEY: 'an operator’s key of some forty characters' });
  renter = await market.addUser();
});
afterAll(() => market.close());

const login = { username: 'somebody', password: 'p4ssw0rd-of-the-registry' };

const submit = (header: string, at = market, token = renter.token) =>
  at.call('/v1/jobs', {
    method: 'POST',
    token,
    json: { image: 'registry.test/private:1', command: 'true' },
    headers: { [registryLoginHeader]: header },
  });

/** Everything that the database holds, as text. */
async function everything(): Promise<string> {
  const { rows } = await market.db.execute<{ name: string }>(
    sql`select tablename as name from pg_tables where schemaname = 'public'`,
  );
  const texts = await Promise.all(
    rows.map(({ name }) => market.db.execute(sql`select t::text from ${sql.identifier(name)} t`)),
  );
  return JSON.stringify(texts.map(({ rows: found }) => found));
}

test('a registry login is the machine’s that has the job, sealed until then, and gone when the job ends', async () => {
  const created = await submit(encodeRegistryLogin(login));
  const job = parsed(createJob.reply, created);
  expect(created.text).not.toContain(login.password);
  expect(await market.db.select().from(registryLogins)).toMatchObject([{ jobId: job.id }]);
  const stored = await everything();
  expect(stored).toContain(job.id);
  for (const text of [login.password, encodeRegistryLogin(login)]) expect(stored).not.toContain(text);

  const agent = await TestAgent.join(market, await market.addUser());
  const task = await agent.acceptNext();
  const path = `/provider/v1/leases/${task.leaseId}/registry-login`;
  const ask = (of: TestAgent, fence = task.fence) =>
    market.call(path, {
      token: of.credential,
      headers: { 'computefabric-session': String(of.session), 'computefabric-fence': String(fence) },
    });
  expect(parsed(readRegistryLogin.reply, await ask(agent))).toEqual({ login });
  expect((await ask(agent, task.fence - 1)).text).toContain('lease/stale');
  const stranger = await TestAgent.join(market, await market.addUser());
  const refused = await ask(stranger);
  expect(refused.status).toBeGreaterThanOrEqual(400);
  expect(refused.text).not.toContain(login.username);

  await task.start();
  await task.finish();
  expect(await market.db.select().from(registryLogins)).toEqual([]);
  expect((await ask(agent)).text).toContain('lease/stale');
});

test('what is no login is refused, and so is any where the operator has set no key', async () => {
  for (const header of ['{}', Buffer.from('{"username":"x"}').toString('base64url')]) {
    const answer = await submit(header);
    expect(answer).toMatchObject({ status: 400 });
  }
  expect(await market.db.select().from(registryLogins)).toEqual([]);
  const keyless = await startTestMarket();
  try {
    const answer = await submit(encodeRegistryLogin(login), keyless, (await keyless.addUser()).token);
    expect(answer).toMatchObject({ status: 400, text: expect.stringContaining('SECRETS_KEY') });
    const { items } = JSON.parse((await keyless.call('/v1/jobs', { token: renter.token })).text);
    expect(items ?? []).toEqual([]);
  } finally {
    await keyless.close();
  }
});
