import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withStartLock } from './start-lock.ts';

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'computefabric-lock-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

it('lets one at a time in, also within one process', async () => {
  let inside = 0;
  let turns = 0;
  const enter = () =>
    withStartLock(directory, 10_000, async () => {
      inside += 1;
      expect(inside).toBe(1);
      await delay(1);
      inside -= 1;
      turns += 1;
    });
  await Promise.all(Array.from({ length: 8 }, enter));
  expect(turns).toBe(8);
});

it('gives the lock back when the work throws', async () => {
  const failing = withStartLock(directory, 1_000, () => Promise.reject(new Error('broken')));
  await expect(failing).rejects.toThrow('broken');
  expect(await withStartLock(directory, 1_000, async () => 'in')).toBe('in');
});

it('gives up at its deadline and names the process that holds the lock', async () => {
  await withStartLock(directory, 1_000, async () => {
    const second = withStartLock(directory, 100, async () => 'in');
    await expect(second).rejects.toThrow(`Another process (${process.pid})`);
  });
});

it('takes the lock from a holder that was killed, and not from a living one that got its process id', async () => {
  const holder = inOtherProcess(`writeFileSync(out, 'in'); await new Promise((r) => setTimeout(r, 60_000));`);
  await waitFor(() => existsSync(join(directory, 'out')));
  await expect(withStartLock(directory, 100, async () => 'in')).rejects.toThrow(
    `Another process (${holder.pid})`,
  );
  holder.kill('SIGKILL');
  expect(await withStartLock(directory, 5_000, async () => 'in')).toBe('in');

  // The same id with another start time is another process: whoever wrote this lock is dead.
  const [name = ''] = readdirSync(directory).filter((entry) => entry.startsWith('start-lock-'));
  writeFileSync(
    join(directory, name),
    JSON.stringify({ pid: process.pid, identity: 'x/1', released: false }),
  );
  expect(await withStartLock(directory, 1_000, async () => 'in')).toBe('in');
});

it('never lets two in while holders are killed inside, one after the other', async () => {
  // Each process notes its entry and exit; half of them die inside. Two open entries of living processes at
  // once would be two holders.
  const body = (dies: boolean) => `
    appendFileSync(out, 'in ' + process.pid + '\\n');
    await new Promise((r) => setTimeout(r, 5));
    ${dies ? "process.kill(process.pid, 'SIGKILL');" : ''}
    appendFileSync(out, 'out ' + process.pid + '\\n');`;
  const processes = Array.from({ length: 8 }, (_, index) => inOtherProcess(body(index % 2 === 0)));
  await Promise.all(processes.map((child) => new Promise((resolve) => child.once('exit', resolve))));

  const dying = new Set(processes.filter((_, index) => index % 2 === 0).map((child) => String(child.pid)));
  const lines = readFileSync(join(directory, 'out'), 'utf8').trim().split('\n');
  expect(lines.filter((line) => line.startsWith('in '))).toHaveLength(8);
  lines.forEach((line, index) => {
    const [verb, pid = ''] = line.split(' ');
    if (verb === 'in' && !dying.has(pid)) expect(lines[index + 1]).toBe(`out ${pid}`);
  });
});

function inOtherProcess(body: string) {
  const code = `
    import { appendFileSync, writeFileSync } from 'node:fs';
    import { withStartLock } from ${JSON.stringify(new URL('./start-lock.ts', import.meta.url).href)};
    const out = ${JSON.stringify(join(directory, 'out'))};
    await withStartLock(${JSON.stringify(directory)}, 30_000, async () => { ${body} });`;
  const args = ['--import', tsx, '--input-type=module', '--eval', code];
  return spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function waitFor(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited 20 seconds in vain for ${condition.toString()}`);
    await delay(10);
  }
}
