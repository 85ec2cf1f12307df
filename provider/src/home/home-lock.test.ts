import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readLock, takeLock } from './home-lock.ts';
import { processIdentity } from './process-identity.ts';

const folder = mkdtempSync(join(tmpdir(), 'cf-lock-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a lock that is held says by whom and can be taken again after its release', async () => {
  const path = join(folder, 'a.lock');
  const first = await takeLock(path);
  if (first.kind !== 'locked') throw new Error('the lock is free');
  expect(await first.lock.isHeld()).toBe(true);
  const second = await takeLock(path);
  expect(second).toEqual({
    kind: 'held',
    owner: { pid: process.pid, identity: processIdentity(process.pid) },
  });
  await first.lock.release();
  expect(await first.lock.isHeld()).toBe(false);
  expect((await takeLock(path)).kind).toBe('locked');
});

test.each([
  ['of a process that is gone', JSON.stringify({ pid: 2 ** 22 + 1, identity: '1' })],
  ['of an earlier process with the same number', JSON.stringify({ pid: process.pid, identity: 'earlier' })],
  ['that names nobody', 'garbage'],
])('a lock %s is taken over', async (_whose, content) => {
  const path = join(folder, 'stale.lock');
  writeFileSync(path, content);
  const taken = await takeLock(path);
  expect(taken.kind).toBe('locked');
  expect((await readLock(path))?.pid).toBe(process.pid);
  if (taken.kind === 'locked') await taken.lock.release();
  expect(readdirSync(folder).filter((name) => name.startsWith('stale'))).toEqual([]);
});

test('a released lock that somebody else has taken meanwhile stays theirs', async () => {
  const path = join(folder, 'b.lock');
  const mine = await takeLock(path);
  if (mine.kind !== 'locked') throw new Error('the lock is free');
  writeFileSync(path, JSON.stringify({ pid: 1, identity: processIdentity(1) }));
  await mine.lock.release();
  expect((await readLock(path))?.pid).toBe(1);
});
