import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CheckpointId, type JobId, newId } from '@computefabric/protocol/ids';
import { silentLogger } from '@computefabric/runtime/log';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { KeptStates } from './kept-states.ts';

const root = mkdtempSync(join(tmpdir(), 'cf-kept-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let homes = 0;
let folder: string;
beforeEach(() => {
  homes += 1;
  folder = join(root, String(homes), 'states');
});

const open = (budgetBytes = 1_000) => KeptStates.open({ folder, budgetBytes, log: silentLogger });
const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');
const chunksOf = (...texts: string[]) => new Map(texts.map((text) => [hashOf(text), text.length]));

/** Saves a state of these chunks, as the saver does: their files lie elsewhere first. */
async function save(
  states: KeptStates,
  job: JobId,
  texts: string[],
  fresh = texts,
): Promise<CheckpointId | null> {
  const id = newId('checkpoint');
  const aside = join(root, String(homes), 'aside');
  await mkdir(aside, { recursive: true });
  const files = fresh.map((text) => ({ sha256: hashOf(text), file: join(aside, hashOf(text)) }));
  for (const [at, { file }] of files.entries()) await writeFile(file, fresh[at] ?? '');
  return (await states.keep(job, id, chunksOf(...texts), files)) ? id : null;
}
const read = async (states: KeptStates, job: JobId, text: string) =>
  (await states.read(job, hashOf(text)))?.toString() ?? null;

test('what was saved is there for the job’s next try, also after a restart, and only what is in its newest state', async () => {
  const job = newId('job');
  const states = await open();
  await save(states, job, ['same', 'old']);
  const newest = await save(states, job, ['same', 'new'], ['new']);
  for (const each of [states, await open()]) {
    expect(each.list()).toEqual([{ job_id: job, checkpoint_id: newest }]);
    expect(await read(each, job, 'same')).toBe('same');
    expect(await read(each, job, 'new')).toBe('new');
    expect(await read(each, job, 'old')).toBeNull();
  }
});

test('nothing of one job is there for another, though the bytes are the same', async () => {
  const states = await open();
  await save(states, newId('job'), ['secret']);
  expect(await read(states, newId('job'), 'secret')).toBeNull();
});

test('nobody else on the machine can look into it', async () => {
  const job = newId('job');
  const states = await open();
  await states.begin(job, chunksOf('fetched'));
  await states.put(job, hashOf('fetched'), Buffer.from('fetched'));
  expect(await states.complete(job, newId('checkpoint'), chunksOf('fetched'))).toBe(true);
  for (const path of [folder, join(folder, job)]) expect((await stat(path)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(join(folder, job)))
    expect((await stat(join(folder, job, name))).mode & 0o777).toBe(0o600);
});

test('bytes that have changed on the disk are not given out, and are removed', async () => {
  const job = newId('job');
  const states = await open();
  await save(states, job, ['right']);
  await writeFile(join(folder, job, hashOf('right')), 'wrong');
  expect(await read(states, job, 'right')).toBeNull();
  expect(await readdir(join(folder, job))).toEqual(['state.json']);
});

test('the budget holds: the state that was used longest ago gives way, and one that is too large is not kept', async () => {
  const [first, second, third] = [newId('job'), newId('job'), newId('job')];
  const states = await open(100);
  await save(states, first, ['a'.repeat(40)]);
  await save(states, second, ['b'.repeat(40)]);
  await save(states, third, ['c'.repeat(50)]);
  expect(new Set(states.list().map(({ job_id }) => job_id))).toEqual(new Set([second, third]));
  expect(states.bytes).toBe(90);
  expect(await save(states, third, ['d'.repeat(101)])).toBeNull();
  expect(states.list().map(({ job_id }) => job_id)).toEqual([second]);
  expect(await readdir(folder)).toEqual([second]);
  // A smaller budget, from the next start on.
  expect((await open(39)).list()).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});

test('a budget of 0 keeps nothing, and removes what was kept before', async () => {
  const job = newId('job');
  await save(await open(), job, ['state']);
  const off = await open(0);
  await expect(stat(folder)).rejects.toThrow('ENOENT');
  expect(await save(off, job, ['state'])).toBeNull();
  await expect(stat(folder)).rejects.toThrow('ENOENT');
  expect(await read(off, job, 'state')).toBeNull();
});

test('half a state is none: one that breaks off, or lacks a chunk, is neither told nor left on the disk', async () => {
  const [torn, lacking] = [newId('job'), newId('job')];
  const states = await open();
  await states.begin(torn, chunksOf('one', 'two'));
  await states.put(torn, hashOf('one'), Buffer.from('one'));
  expect(await save(states, lacking, ['one', 'never sent'], ['one'])).toBeNull();
  expect(states.list()).toEqual([]);
  expect(await readdir(folder)).toEqual([torn]);
  expect((await open()).list()).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});

test('what its owner removes by hand, what nobody came back for in a day, and what is to be forgotten is not told any more', async () => {
  const [removed, old, kept] = [newId('job'), newId('job'), newId('job')];
  const states = await open();
  for (const job of [removed, old, kept]) await save(states, job, ['state']);
  let changes = 0;
  states.onChange = () => {
    changes += 1;
  };
  await rm(join(folder, removed), { recursive: true });
  await states.tidy(Date.now());
  expect(states.list().map(({ job_id }) => job_id)).not.toContain(removed);
  await states.forget(old);
  expect(states.list().map(({ job_id }) => job_id)).toEqual([kept]);
  expect(changes).toBe(2);
  await states.tidy(Date.now() + 86_500_000);
  expect(states.list()).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});
