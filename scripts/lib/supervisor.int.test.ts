import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { processIdentity } from './end-process.mjs';
import { endLeftovers } from './leftovers.mjs';
import { createSupervisor } from './supervisor.mjs';

let home = '';
let lines: string[] = [];
let supervisor: ReturnType<typeof createSupervisor>;
beforeEach(() => {
  home = mkdtempSync(`${tmpdir()}/computefabric-supervisor-`);
  lines = [];
  const { signal } = new AbortController();
  supervisor = createSupervisor({ home, cwd: home, line: (text) => lines.push(text), signal });
});
afterEach(async () => {
  await supervisor.stop('program');
  rmSync(home, { recursive: true, force: true });
});

/** A program that logs and counts each start, in this order, and then does what `code` says. */
function program(code: string) {
  const count = `const fs = require('fs'); fs.appendFileSync('starts', process.pid + '\\n');`;
  return {
    name: 'program',
    args: ['-e', `console.log('started'); ${count} ${code}`],
    env: process.env,
    isReady: () => Promise.resolve(starts().length > 0),
    readySeconds: 10,
    stopSeconds: 5,
  };
}
const stayUp = 'setInterval(() => {}, 1000);';

function starts(): number[] {
  if (!existsSync(`${home}/starts`)) return [];
  return readFileSync(`${home}/starts`, 'utf8').trim().split('\n').map(Number);
}

/** The pid of the newest start. */
const pid = () => starts().at(-1) ?? 0;

describe('keeping programs running', () => {
  test('a program that is killed is started again, and its output is kept', async () => {
    expect(await supervisor.start(program(stayUp))).toEqual({ ok: true });
    const first = pid();
    process.kill(first, 'SIGKILL');
    await expect.poll(() => starts().length, { timeout: 10_000 }).toBe(2);
    expect(pid()).not.toBe(first);
    expect(lines.join()).toContain('program ended (SIGKILL); starting it again in 0.5 s');
    expect(readFileSync(`${home}/logs/program.log`, 'utf8')).toBe('started\nstarted\n');
  });

  test('a program that never becomes ready is reported with the end of its log, and not tried again', async () => {
    const broken = {
      ...program(`console.error('no such setting'); process.exit(3);`),
      isReady: async () => false,
    };
    const result = await supervisor.start(broken);
    expect(result).toMatchObject({ ok: false, reason: 'it ended (exit code 3)' });
    expect(result).toHaveProperty('tail', expect.stringContaining('no such setting'));
    expect(starts()).toHaveLength(1);
  });

  test('stopping ends the program, does not start it again, and takes its helpers along', async () => {
    const helper = `require('child_process').spawn('sleep', ['60']).on('spawn', function () { fs.writeFileSync('helper', String(this.pid)); });`;
    const withHelper = { ...program(helper + stayUp), isReady: async () => existsSync(`${home}/helper`) };
    await supervisor.start(withHelper);
    const helperPid = Number(readFileSync(`${home}/helper`, 'utf8'));
    expect(processIdentity(helperPid)).toBeDefined();
    expect(await supervisor.stop('program')).toBe('ended');
    expect(processIdentity(pid())).toBeUndefined();
    expect(processIdentity(helperPid)).toBeUndefined();
    expect(lines).toEqual([]);
  });

  test('a program that ignores SIGTERM is killed after its grace time', async () => {
    await supervisor.start({ ...program(`process.on('SIGTERM', () => {}); ${stayUp}`), stopSeconds: 0.3 });
    expect(await supervisor.stop('program')).toBe('killed');
    expect(processIdentity(pid())).toBeUndefined();
  });

  test('what a killed run left behind is ended by the next one, and a recycled pid is left alone', async () => {
    await supervisor.start(program(stayUp));
    const leftBehind = pid();
    // As if the supervising process had been killed: nobody watches the program any more.
    const { pid: noted } = JSON.parse(readFileSync(`${home}/run/program.json`, 'utf8')) as { pid: number };
    expect(noted).toBe(leftBehind);
    const stranger = JSON.stringify({ pid: process.pid, identity: 'another start time' });
    writeFileSync(`${home}/run/stranger.json`, stranger);
    const ending = endLeftovers(home);
    await supervisor.stop('program');
    expect(await ending).toEqual(['program']);
    expect(processIdentity(leftBehind)).toBeUndefined();
    expect(existsSync(`${home}/run/stranger.json`)).toBe(false);
  });
});
