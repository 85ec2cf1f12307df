import { logChunks } from '@computefabric/db/schema/log-chunks';
import { appendLogs } from '@computefabric/protocol/provider-api/v1/leases';
import { asc, eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorOf, parsed } from '../testing/replies.ts';
import { TestAgent, TestTask } from '../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';

let market: TestMarket;
let renter: TestUser;
let agent: TestAgent;
beforeAll(async () => {
  market = await startTestMarket();
  renter = await market.addUser();
  agent = await TestAgent.join(market, await market.addUser(), { cpus: 64, memory_mib: 65_536 });
});
afterAll(() => market.close());

async function runningTask(): Promise<TestTask> {
  const answer = await market.call('/v1/jobs', { method: 'POST', token: renter.token, json: { image: 'x' } });
  expect(answer.status).toBe(201);
  const task = await agent.acceptNext();
  await task.start();
  return task;
}

const nextSeq = async (answer: ReturnType<TestTask['sendLogs']>) =>
  parsed(appendLogs.reply, await answer).next_seq;

const stored = async (task: TestTask) => {
  const rows = await market.db
    .select()
    .from(logChunks)
    .where(eq(logChunks.leaseId, task.leaseId))
    .orderBy(asc(logChunks.seq));
  return rows.map(({ seq, data }) => `${seq}${Buffer.from(data).toString()}`);
};

test('repeats and overlaps are stored once, and a gap is refused by telling where to go on', async () => {
  const task = await runningTask();
  expect(await nextSeq(task.sendLogs(0, ['a', 'b']))).toBe(2);
  expect(await nextSeq(task.sendLogs(0, ['a', 'b']))).toBe(2);
  expect(await nextSeq(task.sendLogs(1, ['b', 'c']))).toBe(3);
  expect(await nextSeq(task.sendLogs(5, ['f']))).toBe(3);
  expect(await nextSeq(task.sendLogs(3, []))).toBe(3);
  expect(await stored(task)).toEqual(['0a', '1b', '2c']);
});

test('the same batch sent many times at once is stored once', async () => {
  const task = await runningTask();
  const texts = Array.from({ length: 50 }, (_, n) => `line ${n}\n`);
  const answers = await Promise.all(Array.from({ length: 10 }, () => nextSeq(task.sendLogs(0, texts))));
  expect(new Set(answers)).toEqual(new Set([50]));
  expect(await stored(task)).toHaveLength(50);
});

test('a process of the machine that was replaced neither starts a try nor stores output', async () => {
  const answer = await market.call('/v1/jobs', { method: 'POST', token: renter.token, json: { image: 'x' } });
  expect(answer.status).toBe(201);
  const task = await agent.acceptNext();
  agent.session -= 1;
  expect(errorOf(await task.call('/started', { image_digest: null })).code).toBe('provider/session-stale');
  expect(errorOf(await task.sendLogs(0, ['forged'])).code).toBe('provider/session-stale');
  agent.session += 1;
  await task.start();
  await task.start();
  expect(await stored(task)).toEqual([]);
  await task.finish();
});

test('bytes of every kind are stored as they are, in batches small and large', async () => {
  const task = await runningTask();
  const odd = ['', '\0', '\\x00', '"{}",\\', 'ü'.repeat(3), '\n'];
  expect(await nextSeq(task.sendLogs(0, odd))).toBe(6);
  expect(await nextSeq(task.sendLogs(6, ['x'.repeat(65_536), 'y']))).toBe(8);
  expect(await stored(task)).toEqual([...odd, 'x'.repeat(65_536), 'y'].map((text, seq) => `${seq}${text}`));
});

test('another fence or an ended try stores nothing; a late repeat of what is stored is no offence (R22)', async () => {
  const task = await runningTask();
  await task.print(['a']);
  const stale = await new TestTask(agent, task.leaseId, task.fence + 1).sendLogs(1, ['forged']);
  expect(stale.status).toBe(409);
  expect(errorOf(stale).code).toBe('lease/stale');
  await task.finish();
  expect(await nextSeq(task.sendLogs(0, ['a']))).toBe(1);
  const late = await task.sendLogs(1, ['late']);
  expect(errorOf(late).code).toBe('lease/stale');
  expect(await stored(task)).toEqual(['0a']);
});
