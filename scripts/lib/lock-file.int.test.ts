import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { processIdentity } from './end-process.mjs';
import { tryLock, withLock } from './lock-file.mjs';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/computefabric-lock-`);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a lock between processes', () => {
  test('a second taker learns who holds it, and gets it after the release', async () => {
    const first = await tryLock(`${folder}/lock`);
    const second = await tryLock(`${folder}/lock`);
    expect(second).toEqual({ owner: { pid: process.pid, identity: processIdentity(process.pid) } });
    if (!('release' in first)) throw new Error('the first taker got no lock');
    await first.release();
    expect(await tryLock(`${folder}/lock`)).toHaveProperty('release');
  });

  test('the lock of a process that was killed is taken over', async () => {
    const holder = spawn(process.execPath, ['--input-type=module', '-e', holdLock, `${folder}/lock`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    expect(await tryLock(`${folder}/lock`)).toHaveProperty('owner.pid', holder.pid);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(await tryLock(`${folder}/lock`)).toHaveProperty('release');
  });

  test('a recycled pid does not look like the owner', async () => {
    writeFileSync(`${folder}/lock`, JSON.stringify({ pid: process.pid, identity: 'another start time' }));
    expect(await tryLock(`${folder}/lock`)).toHaveProperty('release');
  });

  test('of many processes only one at a time is inside, and nobody is forgotten', async () => {
    writeFileSync(`${folder}/count`, '0');
    writeFileSync(`${folder}/lock`, JSON.stringify({ pid: 999_999_999, identity: 'dead' }));
    const children = Array.from({ length: 6 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', countInside, folder], { stdio: 'inherit' }),
    );
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0] as unknown));
    expect(codes).toEqual([0, 0, 0, 0, 0, 0]);
    expect(readFileSync(`${folder}/count`, 'utf8')).toBe('30');
    expect(readdirSync(folder)).toEqual(['count']);
  });

  test('waiting for a lock ends at its deadline and names the holder', async () => {
    await tryLock(`${folder}/lock`);
    const waiting = withLock(`${folder}/lock`, { deadlineSeconds: 0.3 }, async () => 'inside');
    await expect(waiting).rejects.toThrow(`process ${process.pid} has held`);
    expect(existsSync(`${folder}/lock`)).toBe(true);
  });
});

const lockFile = fileURLToPath(new URL('./lock-file.mjs', import.meta.url));
const holdLock = `
  import { tryLock } from ${JSON.stringify(lockFile)};
  await tryLock(process.argv[1]);
  console.log('held');
  setInterval(() => {}, 1000);
`;
/** Adds five to a number in a file by reading and writing it, which only works one at a time. */
const countInside = `
  import { readFileSync, writeFileSync } from 'node:fs';
  import { withLock } from ${JSON.stringify(lockFile)};
  const folder = process.argv[1];
  for (let i = 0; i < 5; i++) {
    await withLock(folder + '/lock', { deadlineSeconds: 30 }, async () => {
      const before = Number(readFileSync(folder + '/count', 'utf8'));
      await new Promise((resolve) => setTimeout(resolve, 2));
      writeFileSync(folder + '/count', String(before + 1));
    });
  }
`;
