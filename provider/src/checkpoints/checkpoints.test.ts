import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { limits } from '@computefabric/protocol/limits';
import fc from 'fast-check';
import { extract, pack } from 'tar-stream';
import { afterAll, expect, test } from 'vitest';
import { readStateArchive } from '../container/state-archive.ts';
import { StateCutter } from './cut-state.ts';
import { readManifest, stateArchive } from './restore-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'cf-cut-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const limit = { maxEntries: 100, maxBytes: 64 * 2 ** 20 };

/** The engine's archive of a state directory with these files. */
function archiveOf(files: Record<string, Uint8Array>): Readable {
  const tar = pack();
  tar.entry({ name: 'state/', type: 'directory' });
  for (const [path, bytes] of Object.entries(files)) tar.entry({ name: `state/${path}` }, Buffer.from(bytes));
  tar.finalize();
  return Readable.from(tar, { objectMode: false });
}

async function cut(archive: Readable, known: ReadonlySet<string> = new Set()): Promise<StateCutter> {
  const cutter = await StateCutter.open(folder, known);
  await readStateArchive(archive, limit, (entry) => cutter.add(entry));
  return cutter;
}

async function contentsOf(archive: Readable): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  // The engine's own archive has the directory's name before each path; ours is unpacked in it.
  const again = await buffer(archive);
  const tar = extract();
  tar.end(again);
  for await (const entry of tar) files[entry.header.name] = await buffer(entry);
  return files;
}

test('whatever files a state has, cut and put together again they are the same', async () => {
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc
      .integer({ min: 0, max: 255 })
      .map((byte) => new Uint8Array(limits.checkpointChunkBytes + byte).fill(byte)),
  );
  const names = fc.stringMatching(/^[a-z]{1,8}$/);
  await fc.assert(
    fc.asyncProperty(fc.dictionary(names, content, { maxKeys: 4 }), async (files) => {
      const cutter = await cut(archiveOf(files));
      const text = JSON.stringify(cutter.manifest);
      const manifest = readManifest(text, createHash('sha256').update(text).digest('hex'));
      const { archive, done } = stateArchive(manifest, (hash) => readFile(join(folder, hash)));
      const [again] = await Promise.all([contentsOf(archive), done]);
      expect(Object.keys(again).toSorted()).toEqual(Object.keys(files).toSorted());
      for (const [path, bytes] of Object.entries(files)) expect(again[path]?.equals(bytes)).toBe(true);
    }),
    { numRuns: 20 },
  );
});

test('a chunk with another hash, a list with another hash, and a list that leads out are refused', async () => {
  const cutter = await cut(archiveOf({ a: Buffer.from('good') }));
  const { archive, done } = stateArchive(cutter.manifest, () => Promise.resolve(Buffer.from('evil')));
  archive.resume();
  await expect(done).rejects.toThrow('a chunk has another hash');
  const text = JSON.stringify(cutter.manifest);
  expect(() => readManifest(text, '0'.repeat(64))).toThrow('another hash');
  const outward = text.replace('"path":"a"', '"path":"../a"');
  expect(() => readManifest(outward, createHash('sha256').update(outward).digest('hex'))).toThrow(
    'not valid',
  );
});

test('an archive that breaks off in the middle is no state', async () => {
  const whole = await buffer(archiveOf({ a: Buffer.alloc(100_000, 1) }));
  const torn = Readable.from([whole.subarray(0, 50_000)]);
  await expect(cut(torn)).rejects.toMatchObject({ code: 'state-unreadable' });
});
