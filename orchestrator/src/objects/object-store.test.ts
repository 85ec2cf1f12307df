import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Secret } from '@computefabric/runtime/secret';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDiskObjectStore } from './disk-object-store.ts';
import { isObjectKey, type ObjectStore } from './object-store.ts';
import { openS3ObjectStore } from './s3-object-store.ts';
import { type S3TestServer, startS3TestServer, testS3Keys } from './testing/s3-test-server.ts';

const never = new AbortController().signal;
const factsOf = (bytes: Uint8Array) => ({
  sha256: createHash('sha256').update(bytes).digest('hex'),
  sizeBytes: bytes.byteLength,
});
async function* inPieces(bytes: Uint8Array, size = 40_000) {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

let server: S3TestServer;
const s3Settings = () => ({
  endpoint: server.endpoint,
  bucket: server.bucket,
  region: testS3Keys.region,
  accessKeyId: testS3Keys.accessKeyId,
  secretAccessKey: new Secret(testS3Keys.secretAccessKey),
  prefix: 'market-1/',
});

beforeAll(async () => {
  server = await startS3TestServer();
});
afterAll(async () => {
  await server.close();
});

describe.each(['disk', 'S3', 'S3 that checks nothing'])('an object store on %s', (kind) => {
  let folder: string;
  let store: ObjectStore;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cf-objects-'));
    server.checksContent = kind === 'S3';
    store = kind === 'disk' ? await openDiskObjectStore(folder) : openS3ObjectStore(s3Settings());
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const read = async (key: string, start: number, end: number) => {
    const bytes = await store.open(key, { start, end });
    return bytes && (await buffer(bytes));
  };

  test('gives back what was put, whole and in part, and can be put again', async () => {
    const bytes = randomBytes(300_001);
    for (let time = 0; time < 2; time += 1)
      await store.put('job_1/whole', inPieces(bytes), factsOf(bytes), never);
    expect((await read('job_1/whole', 0, bytes.length - 1))?.equals(bytes)).toBe(true);
    expect((await read('job_1/whole', 7, 99_999))?.equals(bytes.subarray(7, 100_000))).toBe(true);
    expect(await read('job_1/none', 0, 10)).toBeNull();
  });

  test('keeps an empty object', async () => {
    const bytes = new Uint8Array();
    await store.put('job_1/empty', inPieces(bytes), factsOf(bytes), never);
    expect((await read('job_1/empty', 0, -1))?.length).toBe(0);
  });

  test('bytes with another hash or another size than announced are refused and leave nothing', async () => {
    const bytes = randomBytes(100_000);
    const facts = factsOf(bytes);
    const wrong = [
      { ...facts, sha256: '0'.repeat(64) },
      { ...facts, sizeBytes: 99_999 },
      { ...facts, sizeBytes: 100_001 },
    ];
    for (const [index, each] of wrong.entries()) {
      await expect(store.put(`job_1/wrong${index}`, inPieces(bytes), each, never)).rejects.toMatchObject({
        code: 'artifact/hash-mismatch',
      });
      expect(await read(`job_1/wrong${index}`, 0, 10)).toBeNull();
    }
  });

  test('a sender that breaks off leaves nothing', async () => {
    const bytes = randomBytes(100_000);
    async function* broken() {
      yield bytes.subarray(0, 50_000);
      throw new Error('the line is dead');
    }
    await expect(store.put('job_1/broken', broken(), factsOf(bytes), never)).rejects.toThrow(
      'the line is dead',
    );
    expect(await read('job_1/broken', 0, 10)).toBeNull();
    if (kind === 'disk') expect(await readdir(join(folder, 'incoming'))).toEqual([]);
  });

  test('what is removed is gone, and removing it again is fine', async () => {
    const bytes = randomBytes(10);
    await store.put('job_1/gone', inPieces(bytes), factsOf(bytes), never);
    await store.remove('job_1/gone');
    await store.remove('job_1/gone');
    expect(await read('job_1/gone', 0, 9)).toBeNull();
  });
});

test('an orchestrator that starts removes what a crash left, and nothing that another one is receiving', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cf-objects-'));
  const first = await openDiskObjectStore(folder);
  const longAgo = new Date(Date.now() - 2 * 3_600_000);
  await writeFile(join(folder, 'incoming', 'left-over'), 'half of it');
  await utimes(join(folder, 'incoming', 'left-over'), longAgo, longAgo);
  const bytes = randomBytes(100_000);
  async function* interrupted() {
    yield bytes.subarray(0, 50_000);
    await openDiskObjectStore(folder);
    yield bytes.subarray(50_000);
  }
  await first.put('job_1/whole', interrupted(), factsOf(bytes), never);
  const found = await first.open('job_1/whole', { start: 0, end: bytes.length - 1 });
  expect(found && (await buffer(found)).equals(bytes)).toBe(true);
  expect(await readdir(join(folder, 'incoming'))).toEqual([]);
  await rm(folder, { recursive: true, force: true });
});

test('keys that could leave their place are none', () => {
  expect(['job_1/ab-1', 'a/b'].every(isObjectKey)).toBe(true);
  for (const key of ['../a', 'a/..', '/a', 'a', 'a/b/c', 'a//b', 'a/b?x', 'a/b%2f..', 'ä/b', 'a/']) {
    expect(isObjectKey(key), key).toBe(false);
  }
});

test('a wrong secret is refused and says so', async () => {
  const wrong = openS3ObjectStore({ ...s3Settings(), secretAccessKey: new Secret('guessed') });
  await expect(wrong.open('job_1/whole', { start: 0, end: 1 })).rejects.toThrow(
    /403.*SignatureDoesNotMatch/s,
  );
});
