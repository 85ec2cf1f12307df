import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { newId } from '@computefabric/protocol/ids';
import { type Artifact, downloadArtifact } from '@computefabric/protocol/user-api/artifacts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from './client.ts';
import { HashMismatchError } from './errors.ts';
import { FakeMarket } from './testing/fake-market.ts';
import { sampleTime } from './testing/sample-data.ts';

const bytes = randomBytes(300_000);
const artifact: Artifact = {
  id: newId('artifact'),
  attempt: 1,
  path: 'model.bin',
  size_bytes: bytes.byteLength,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  created_at: sampleTime,
};
let market: FakeMarket;
let dir: string;

beforeEach(async () => {
  market = await FakeMarket.start();
  dir = await mkdtemp(join(tmpdir(), 'cf-download-'));
});
afterEach(async () => {
  await market.stop();
  await rm(dir, { recursive: true });
});

function artifacts() {
  return createClient({ baseUrl: market.url, token: 'x', retry: { retries: 2, baseMs: 1, maxMs: 5 } })
    .artifacts;
}

test('a file arrives whole, also after the connection broke in the middle', async () => {
  let tries = 0;
  market.on(downloadArtifact, () => (response) => {
    tries += 1;
    if (tries > 1) return void response.end(bytes);
    response.write(bytes.subarray(0, 100_000), () => response.destroy());
  });
  const path = join(dir, 'model.bin');
  const progress: number[] = [];
  await artifacts().download('j', artifact, path, { onProgress: (done) => progress.push(done) });
  expect(bytes.equals(await readFile(path))).toBe(true);
  expect(progress.at(-1)).toBe(bytes.byteLength);
  expect(tries).toBe(2);
});

test.each([
  ['other bytes', randomBytes(bytes.byteLength)],
  ['too few bytes', bytes.subarray(0, 200_000)],
  ['too many bytes', Buffer.concat([bytes, bytes])],
])('%s leave nothing behind', async (_, wrong) => {
  market.on(downloadArtifact, () => (response) => void response.end(wrong));
  const download = artifacts().download('j', artifact, join(dir, 'model.bin'));
  await expect(download).rejects.toBeInstanceOf(HashMismatchError);
  expect(await readdir(dir)).toEqual([]);
});

test('a slow stream gets every byte, in order, and is not ended', async () => {
  market.on(downloadArtifact, () => (response) => void response.end(bytes));
  const parts: Buffer[] = [];
  const slow = new Writable({
    highWaterMark: 1_000,
    write(chunk: Buffer, _, done) {
      parts.push(chunk);
      setImmediate(done);
    },
  });
  await artifacts().download('j', artifact, slow);
  expect(bytes.equals(Buffer.concat(parts))).toBe(true);
  expect(slow.writableEnded).toBe(false);
});

test('a stream whose reader goes away ends the download', async () => {
  market.on(downloadArtifact, () => (response) => void response.write(bytes));
  const gone = new Writable({
    highWaterMark: 1,
    write(_chunk, _encoding, done) {
      done(new Error('reader went away'));
    },
  });
  gone.on('error', () => {}); // the download's own rejection is what this test looks at
  await expect(artifacts().download('j', artifact, gone)).rejects.toThrow('reader went away');
});
