import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sampleJob, sampleTime } from '@computefabric/api-client/testing/sample-data';
import { newId } from '@computefabric/protocol/ids';
import type { CheckpointManifest } from '@computefabric/protocol/provider-api/v1/checkpoints';
import {
  type CheckpointView,
  downloadChunk,
  getCheckpoint,
  listCheckpoints,
} from '@computefabric/protocol/user-api/checkpoints';
import { listGroups } from '@computefabric/protocol/user-api/groups';
import { getJob } from '@computefabric/protocol/user-api/jobs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { onlyJson, Workbench } from '../testing/run-cfab.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.open();
});
afterEach(() => bench.close());

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');
const big = Buffer.alloc(4_194_304 + 5, 'b');
const chunks = [big.subarray(0, 4_194_304), big.subarray(4_194_304), Buffer.from('small')];
const attributes = { mode: 0o644, uid: 0, gid: 0, mtime_seconds: 1_700_000_000 };
const manifest: CheckpointManifest = {
  version: 1,
  folders: [{ path: 'deep', mode: 0o755, uid: 0, gid: 0 }],
  files: [
    {
      ...attributes,
      path: 'deep/big.bin',
      size_bytes: big.byteLength,
      chunks: chunks.slice(0, 2).map((chunk) => sha256(chunk)),
    },
    { ...attributes, path: 'small', mode: 0o700, size_bytes: 5, chunks: [sha256('small')] },
  ],
  links: [
    { path: 'latest', target: 'deep/big.bin' },
    { path: 'here', target: '.' },
    // By its letters inside; together with the one before, above the folder.
    { path: 'out', target: 'here/../small' },
  ],
};

function keeps(given: { manifest?: string; state?: CheckpointView['state'] } = {}) {
  const job = sampleJob({ name: 'train', state: 'running' });
  const text = JSON.stringify(manifest);
  const view: CheckpointView = {
    id: newId('checkpoint'),
    lease_id: newId('lease'),
    attempt: 2,
    state: given.state ?? 'complete',
    files: 2,
    size_bytes: big.byteLength + 5,
    new_bytes: 5,
    taken_at: sampleTime,
    next: given.state !== 'damaged',
  };
  bench.market
    .on(listGroups, () => ({ items: [], next_cursor: null }))
    .on(getJob, () => job)
    .on(listCheckpoints, () => ({ items: [view] }))
    .on(getCheckpoint, () => ({
      checkpoint_id: view.id,
      manifest_sha256: sha256(text),
      manifest: given.manifest ?? text,
    }))
    .on(downloadChunk, ({ params }) => (response) => {
      const bytes = chunks.find((chunk) => sha256(chunk) === params.sha256);
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(bytes);
    });
}

test('--files lists what is in the newest one', async () => {
  keeps();
  const { code, stdout } = await bench.run(['checkpoints', 'train', '--files']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/deep\/big\.bin +4\.2 MB/);
});

test('--download makes the state again: folders, files, links and permissions; a link out of it is left out', async () => {
  keeps();
  const { code, stderr } = await bench.run(['checkpoints', 'train', '--download'], { cwd: bench.home });
  expect(code).toBe(0);
  const folder = join(bench.home, 'train-state');
  expect((await readFile(join(folder, 'deep/big.bin'))).equals(big)).toBe(true);
  const small = await stat(join(folder, 'small'));
  expect([small.mode & 0o777, small.mtimeMs]).toEqual([0o700, 1_700_000_000_000]);
  expect(await readlink(join(folder, 'latest'))).toBe('deep/big.bin');
  expect(stderr).toContain('left out     out: a link that leads out of the folder');
  expect((await readdir(folder)).toSorted()).toEqual(['deep', 'here', 'latest', 'small']);
});

test('what is there already is not overwritten without --force', async () => {
  keeps();
  const folder = join(bench.home, 'mine');
  await mkdir(folder);
  await writeFile(join(folder, 'small'), 'precious');
  const args = ['checkpoints', 'train', '--download', folder];
  const refused = await bench.run(args);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('--force')]);
  expect(await readFile(join(folder, 'small'), 'utf8')).toBe('precious');
  const forced = await bench.run([...args, '--force', '--json']);
  expect(forced.code).toBe(0);
  expect(onlyJson(forced.stdout)).toMatchObject({ folder, files: 2, left: ['out'] });
  expect(await readFile(join(folder, 'small'), 'utf8')).toBe('small');
});

test('a list with another hash, or a damaged state alone, gives nothing', async () => {
  keeps({ manifest: JSON.stringify({ ...manifest, links: [] }) });
  expect((await bench.run(['checkpoints', 'train', '--files'])).stderr).toContain('not valid');
  keeps({ state: 'damaged' });
  expect((await bench.run(['checkpoints', 'train', '--download'])).code).toBe(1);
});
