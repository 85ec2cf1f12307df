import { createHash, randomBytes } from 'node:crypto';
import { createJob } from '@computefabric/protocol/user-api/jobs';
import { listArtifacts } from '@computefabric/protocol/user-api/artifacts';
import { limits } from '@computefabric/protocol/limits';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorOf, parsed } from '../../testing/replies.ts';
import { TestAgent, type TestTask } from '../../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../../testing/test-market.ts';

let market: TestMarket;
let renter: TestUser;
let agent: TestAgent;
beforeAll(async () => {
  market = await startTestMarket();
  renter = await market.addUser();
  agent = await TestAgent.join(market, await market.addUser(), { cpus: 64, memory_mib: 65_536 });
});
afterAll(() => market.close());

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text));

async function runningJob(): Promise<{ id: string; task: TestTask }> {
  const json = { image: 'busybox', command: 'x' };
  const { id } = parsed(
    createJob.reply,
    await market.call('/v1/jobs', { method: 'POST', token: renter.token, json }),
  );
  const task = await agent.acceptNext();
  await task.start();
  return { id, task };
}

const list = async (id: string) =>
  parsed(listArtifacts.reply, await market.call(`/v1/jobs/${id}/artifacts`, { token: renter.token })).items;

const download = (id: string, artifact: string, headers: Record<string, string> = {}) =>
  fetch(`${market.url}/v1/jobs/${id}/artifacts/${artifact}`, {
    headers: { authorization: `Bearer ${renter.token}`, ...headers },
  });

test('what a try sends can be listed and downloaded, whole or in part, always as a file to save', async () => {
  const { id, task } = await runningJob();
  const bytes = new Uint8Array(randomBytes(100_000));
  const path = 'checkpoints/"modèle" 1.html';
  expect((await task.putArtifact(path, sha256(bytes), bytes)).status).toBe(200);
  // Sent again after a lost answer.
  expect((await task.putArtifact(path, sha256(bytes), bytes)).status).toBe(200);
  expect((await task.putArtifact('empty', sha256(bytesOf('')), bytesOf(''))).status).toBe(200);
  const items = await list(id);
  expect(items).toMatchObject([
    { attempt: 1, path, size_bytes: 100_000, sha256: sha256(bytes) },
    { attempt: 1, path: 'empty', size_bytes: 0 },
  ]);
  const [first, empty] = items.map((item) => item.id);
  const whole = await download(id, first ?? '');
  expect(whole.status).toBe(200);
  expect(sha256(new Uint8Array(await whole.arrayBuffer()))).toBe(sha256(bytes));
  expect(whole.headers.get('content-type')).toBe('application/octet-stream');
  expect(whole.headers.get('x-content-type-options')).toBe('nosniff');
  expect(whole.headers.get('content-disposition')).toBe(
    `attachment; filename="_mod_le_ 1.html"; filename*=UTF-8''%22mod%C3%A8le%22%201.html`,
  );
  const etag = whole.headers.get('etag') ?? '';
  const part = await download(id, first ?? '', { range: 'bytes=99990-', 'if-range': etag });
  expect(part.status).toBe(206);
  expect(part.headers.get('content-range')).toBe('bytes 99990-99999/100000');
  expect(new Uint8Array(await part.arrayBuffer())).toEqual(bytes.slice(99_990));
  expect((await download(id, first ?? '', { range: 'bytes=5-9', 'if-range': '"other"' })).status).toBe(200);
  expect((await download(id, first ?? '', { range: 'bytes=100000-' })).status).toBe(416);
  expect((await download(id, first ?? '', { 'if-none-match': etag })).status).toBe(304);
  expect(await (await download(id, empty ?? '')).text()).toBe('');
  const unknown = await download(id, 'art_00000000000000000000000000');
  expect(unknown.status).toBe(404);
  await task.finish();
});

test('bytes that are not what was announced are refused, and nothing is listed', async () => {
  const { id, task } = await runningJob();
  const bytes = bytesOf('result');
  const wrongHash = await task.putArtifact('a', sha256(bytesOf('other')), bytes);
  const tooLong = await task.putArtifact('a', sha256(bytes), new Uint8Array(2_000_000), 10);
  const tooShort = await task.putArtifact('a', sha256(bytes), bytes, 7);
  for (const answer of [wrongHash, tooLong, tooShort]) {
    expect(answer.status).toBe(422);
    expect(errorOf(answer).code).toBe('artifact/hash-mismatch');
  }
  expect(await list(id)).toEqual([]);
  await task.finish();
});

test('paths that lead out of the folder are refused', async () => {
  const { task } = await runningJob();
  const bytes = bytesOf('x');
  for (const path of ['../x', '/etc/passwd', 'a//b', 'a/./b', 'a\\b', 'a\u0000b']) {
    const answer = await task.putArtifact(path, sha256(bytes), bytes);
    expect(errorOf(answer), path).toMatchObject({ code: 'request/invalid', fields: [{ path: 'path' }] });
  }
  await task.finish();
});

test('413 for more than a try may keep, before its bytes are read', async () => {
  const { id, task } = await runningJob();
  await market.db.execute(
    `insert into artifacts (id, job_id, lease_id, path, size_bytes, sha256, blob_key)
     values ('art_00000000000000000000000001', '${id}', '${task.leaseId}', 'big', ${limits.artifactBytes - 5}, 'x', 'x')`,
  );
  const bytes = bytesOf('123456');
  const answer = await task.putArtifact('more', sha256(bytes), bytes);
  expect(answer.status).toBe(413);
  expect(errorOf(answer).code).toBe('artifact/too-large');
  expect((await task.putArtifact('fits', sha256(bytes.slice(1)), bytes.slice(1))).status).toBe(200);
  await task.finish();
});

test('a try that has ended cannot add result files, nor can another fence', async () => {
  const { id, task } = await runningJob();
  const bytes = bytesOf('late');
  await task.finish();
  const answer = await task.putArtifact('late', sha256(bytes), bytes);
  expect(answer.status).toBe(409);
  expect(errorOf(answer).code).toBe('lease/stale');
  expect(await list(id)).toEqual([]);
});
