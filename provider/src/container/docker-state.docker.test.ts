import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits } from '@computefabric/protocol/limits';
import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { StateCutter } from '../checkpoints/cut-state.ts';
import { stateArchive } from '../checkpoints/restore-archive.ts';
import type { TaskSpec } from './container-driver.ts';
import { DockerDriver } from './docker-driver.ts';
import { collect } from './driver-suite.ts';
import { parseEngineAddress } from './engine-address.ts';
import { importImage, shellLayer } from './testing/shell-image.ts';
import { testTaskSpec } from './testing/task-spec.ts';

const MIB = 2 ** 20;
const address = parseEngineAddress(process.env.DOCKER_HOST ?? null);
const client = new Docker(address);
const run = `${process.pid}-${Date.now().toString(36)}`;
const image = `computefabric/test-state-${run}:1`;
const imageWithVolume = `computefabric/test-state-volume-${run}:1`;
const driver = new DockerDriver({ address, agentId: `state-test-${run}` });
const leases = new Set<string>();
const never = new AbortController().signal;
const options = { frozenSeconds: 30, signal: never };
let folder: string;

beforeAll(async () => {
  const layer = await shellLayer();
  await importImage(client, image, layer, ['ENV PATH=/bin']);
  await importImage(client, imageWithVolume, layer, ['ENV PATH=/bin', 'VOLUME /work']);
  folder = await mkdtemp(join(tmpdir(), 'cf-state-'));
});
afterEach(async () => {
  for (const lease of leases) await driver.removeLease(lease);
  leases.clear();
});
afterAll(async () => {
  for (const name of [image, imageWithVolume]) await client.getImage(name).remove({ force: true });
  await rm(folder, { recursive: true, force: true });
});

async function create(command: string, change: Partial<TaskSpec> = {}): Promise<string> {
  const leaseId = `lease_s${leases.size}`;
  leases.add(leaseId);
  return await driver.createTask(
    testTaskSpec({ leaseId, image, command, stateDirectory: '/work/state', ...change }),
  );
}

/** Starts a task; `output` is all that it prints until its end. */
async function start(id: string): Promise<{ output: Promise<string> }> {
  const live = await driver.attachOutput(id);
  await driver.startTask(id);
  return { output: collect(live).then((all) => all.text('stdout') + all.text('stderr')) };
}

async function cut(id: string, maxBytes = 64 * MIB, known: ReadonlySet<string> = new Set()) {
  const cutter = await StateCutter.open(folder, known);
  const limit = { maxEntries: 1_000, maxBytes };
  const summary = await driver.readState(id, '/work/state', limit, (entry) => cutter.add(entry), options);
  return { cutter, summary };
}

/** Runs a program to its end and gives what it printed. */
async function outputOf(
  command: string,
  change: Partial<TaskSpec> = {},
): Promise<{ id: string; out: string }> {
  const id = await create(command, change);
  const { output } = await start(id);
  return { id, out: await output };
}

test('a state that was saved from one container is in the next one: bytes, modes, owners, links and times', async () => {
  const made = [
    'cd /work/state',
    'mkdir -m 750 deep',
    'head -c 9000001 /dev/urandom > deep/weights.bin',
    'echo 41 > step',
    'chmod 640 step',
    'touch -d "2020-02-02 02:02:02" step',
    'ln deep/weights.bin best.bin',
    'ln -s deep/weights.bin latest',
    ': > empty',
  ];
  const look =
    'cd /work/state && md5sum deep/weights.bin best.bin latest && stat -c "%n %a %u" deep && stat -c "%n %a %Y %s %u" step empty && readlink latest';
  const { id, out } = await outputOf([...made, look].join(' && '));
  const { cutter, summary } = await cut(id);
  expect(summary.skipped).toEqual([]);
  expect(cutter.manifest.files.map(({ path }) => path).sort()).toEqual([
    'best.bin',
    'deep/weights.bin',
    'empty',
    'step',
  ]);
  // Three chunks of the large file, one of the small; the second name costs nothing.
  expect(cutter.fresh.size).toBe(4);

  const next = await create(look);
  const { archive, done } = stateArchive(cutter.manifest, (hash) => readFile(join(folder, hash)));
  await Promise.all([
    driver.writeState(next, '/work/state', archive, { deadlineSeconds: 30, signal: never }),
    done,
  ]);
  const { output } = await start(next);
  expect(await output).toBe(out);
});

test('what has not changed since the last save is neither kept on disk nor to be sent', async () => {
  const { id } = await outputOf('head -c 12582912 /dev/urandom > /work/state/a; echo 1 > /work/state/b');
  const first = await cut(id);
  const known = new Set(first.cutter.manifest.files.flatMap((file) => file.chunks));
  expect(first.cutter.fresh.size).toBe(12_582_912 / limits.checkpointChunkBytes + 1);
  const second = await cut(id, 64 * MIB, known);
  expect(second.cutter.fresh.size).toBe(0);
  expect(second.cutter.manifest).toEqual(first.cutter.manifest);
});

test('a hostile state gives nothing of the host and nothing that is no state', async () => {
  const { id } = await outputOf(
    [
      'cd /work/state',
      'ln -s /etc/passwd secrets',
      'ln -s ../../etc/shadow up',
      'mkfifo pipe',
      'mkdir -p "a b"',
      'printf x > "$(printf "new\\nline")"',
      'printf fine > fine.txt',
    ].join('; '),
  );
  const { cutter, summary } = await cut(id);
  expect(cutter.manifest.files.map(({ path }) => path)).toEqual(['fine.txt']);
  expect(cutter.manifest.links).toEqual([]);
  expect(summary.skippedCount).toBe(4);
  expect(summary.skipped.join('\n')).toMatch(/secrets \(link out of it\)/);
});

test('a sparse giant and too many files are refused before they are read, and leave the disk alone', async () => {
  const { id } = await outputOf('truncate -s 200G /work/state/giant');
  await expect(cut(id)).rejects.toMatchObject({ code: 'state-too-large' });
  const { id: many } = await outputOf(
    'cd /work/state; i=0; while [ $i -lt 1200 ]; do : > f$i; i=$((i+1)); done',
  );
  await expect(cut(many)).rejects.toMatchObject({ code: 'state-too-large' });
});

test('a state directory that was replaced by a link to elsewhere is no state', async () => {
  const { id } = await outputOf('rmdir /work/state && ln -s /etc /work/state');
  await expect(cut(id)).rejects.toMatchObject({ code: 'state-unreadable' });
  const { id: gone } = await outputOf('rmdir /work/state');
  await expect(cut(gone)).rejects.toMatchObject({ code: 'state-unreadable' });
});

test('a running program stands still while its state is read, and goes on afterwards', async () => {
  // Two files that are only ever equal between two writes: read from a moving program they differ at times.
  const id = await create(
    'cd /work/state; i=0; while :; do i=$((i+1)); echo $i > new; mv new a; echo $i > new; mv new b; done',
  );
  await start(id);
  const numbers: number[] = [];
  for (let time = 0; time < 12; time += 1) {
    const read = new Map<string, string>();
    const limit = { maxEntries: 10, maxBytes: MIB };
    await driver.readState(
      id,
      '/work/state',
      limit,
      async (entry) => {
        if (entry.kind !== 'file') return;
        const parts: Uint8Array[] = [];
        for await (const part of entry.content) parts.push(part);
        read.set(entry.path, Buffer.concat(parts).toString());
      },
      options,
    );
    const a = Number(read.get('a') || 'NaN');
    const b = Number(read.get('b') || 'NaN');
    if (Number.isNaN(a) || Number.isNaN(b)) continue; // it has only just begun
    expect(a - b === 0 || a - b === 1, `${a} ${b}`).toBe(true);
    numbers.push(a);
  }
  expect(numbers.length).toBeGreaterThan(1);
  expect(numbers.at(-1)).toBeGreaterThan(numbers[0] ?? 0);
  await driver.killTask(id);
});

test('a reader that fails in the middle leaves no program frozen, nor does one that died', async () => {
  const id = await create('head -c 30000000 /dev/zero > /work/state/big; while :; do date; sleep 0.1; done');
  await start(id);
  const limit = { maxEntries: 10, maxBytes: 64 * MIB };
  const failing = driver.readState(
    id,
    '/work/state',
    limit,
    () => Promise.reject(new Error('no room')),
    options,
  );
  await expect(failing).rejects.toThrow('no room');
  expect((await client.getContainer(id).inspect()).State.Paused).toBe(false);
  await client.getContainer(id).pause();
  await driver.thawTask(id);
  await driver.thawTask(id);
  expect((await client.getContainer(id).inspect()).State.Paused).toBe(false);
  await driver.killTask(id);
});

test('a command runs beside the program with its rights; how it ended and what it said comes back', async () => {
  const id = await create('while :; do sleep 0.1; done');
  await start(id);
  const inside = { deadlineSeconds: 20, signal: never };
  expect(await driver.runInside(id, 'echo saved > /work/state/x; cat /work/state/x', inside)).toEqual({
    exitCode: 0,
    output: expect.stringContaining('saved'),
  });
  expect((await driver.runInside(id, ['sh', '-c', 'echo broken >&2; exit 3'], inside)).exitCode).toBe(3);
  const rights = await driver.runInside(id, 'grep -E "CapEff|NoNewPrivs" /proc/self/status', inside);
  expect(rights.output).toMatch(/CapEff:\s+0000000000000000/);
  expect(rights.output).toMatch(/NoNewPrivs:\s+1/);
  const slow = await driver.runInside(id, 'sleep 60', { deadlineSeconds: 1, signal: never });
  expect(slow.exitCode).toBeNull();
  await driver.killTask(id);
  await driver.waitTask(id);
  await expect(driver.runInside(id, 'true', inside)).rejects.toMatchObject({ code: 'task-not-running' });
});

test('an image that would hide the state directory under a volume is refused', async () => {
  await expect(create('true', { image: imageWithVolume })).rejects.toMatchObject({ code: 'image-refused' });
});
