import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '@computefabric/runtime/clock';
import { silentLogger } from '@computefabric/runtime/log';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentHome } from '../home/agent-home.ts';
import { OwnerPolicy } from '../policy/owner-policy.ts';
import { ownerAway } from '../testing/agent-bench.ts';
import { askAgent } from './ask-agent.ts';
import { shownStatus } from './control-protocol.ts';
import { type ControlServer, startControlServer } from './control-server.ts';
import { examineMachine, type Finding } from './examine-machine.ts';
import { runOwnerCommand } from './owner-command.ts';

/** Nobody listens at these addresses. */
const doctorEnv = { COMPUTEFABRIC_URL: 'http://127.0.0.1:1', DOCKER_HOST: 'unix:///nowhere/docker.sock' };

let home: string;
let path: string;
let server: ControlServer | undefined;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cf-control-'));
  path = agentHome(home).controlSocket;
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(home, { recursive: true, force: true });
});

async function start(change: { deadlineMs?: number; policy?: OwnerPolicy } = {}): Promise<OwnerPolicy> {
  const policy =
    change.policy ??
    (await OwnerPolicy.open({
      home,
      senses: { look: () => Promise.resolve(ownerAway) },
      power: { apply: () => Promise.resolve() },
      defaults: { profile: 'server', timeZone: 'UTC' },
      clock: systemClock,
      log: silentLogger,
    }));
  server = await startControlServer({ path, log: silentLogger, ...change, policy });
  return policy;
}

/** What a command prints, and how it ends. */
async function command(...words: string[]) {
  let out = '';
  let err = '';
  const exitCode = await runOwnerCommand(words, {
    home,
    out: (text) => (out += text),
    err: (text) => (err += text),
    examine: (folder) => examineMachine({ ...doctorEnv, PROVIDER_HOME: folder }),
  });
  return { exitCode, out, err };
}

/** What the socket answers to bytes that no command of ours sends; empty when it hangs up without a word. */
async function rawAnswer(bytes: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(path, () => socket.write(bytes));
    socket.on('data', (chunk) => (text += chunk.toString('utf8')));
    socket.once('error', reject);
    socket.once('close', () => resolve(text));
  });
}

test('an owner pauses, resumes and drains an agent that runs, and reads its state', async () => {
  const policy = await start();
  const paused = await command('pause', '1h', '--json');
  expect(paused).toMatchObject({ exitCode: 0, err: '' });
  const status = shownStatus.parse(JSON.parse(paused.out));
  expect(status).toMatchObject({ state: 'owner', reason: 'paused', accepts_work: false });
  expect(status.wish).toMatchObject({ kind: 'paused', afterJob: false });
  expect(policy.acceptsWork).toBe(false);

  expect(await command('resume')).toMatchObject({ exitCode: 0, err: '' });
  expect(policy.acceptsWork).toBe(true);
  expect((await command('drain')).out).toContain('drained');
  expect(policy.status().wish).toEqual({ kind: 'drained' });
  expect((await command('pause', 'after-job')).exitCode).toBe(0);
  expect(policy.status().wish).toMatchObject({ kind: 'paused', afterJob: true });
  expect((await command('pause', 'until', '18:00')).exitCode).toBe(0);
  expect(policy.status().wish).toMatchObject({ kind: 'paused', untilMs: expect.any(Number) });

  const { out } = await command('status');
  expect(out).toContain('Paused by you.');
  expect(out).toContain('are not taken');
  expect(out).toContain(join(home, 'owner.json'));
});

test('a command that cannot be meant changes nothing, says what can be written and ends with 2', async () => {
  const policy = await start();
  for (const [words, says] of [
    [['pause', 'soon'], 'cannot pause for "soon"'],
    [['puase'], 'there is no command "puase"'],
    [['resume', 'now'], 'takes nothing more'],
    [['status', '--jsno'], '--jsno'],
    [['pause', 'x'.repeat(200)], 'too long'],
    [['--json'], 'which command?'],
  ] as const) {
    const { exitCode, out, err } = await command(...words);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
    expect(err).toContain(says);
  }
  expect(policy.status().wish).toEqual({ kind: 'none' });
  expect(await command('--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('after-job') });
});

test('without an agent a command says which folder it looked at, and ends with 1', async () => {
  const plain = await command('status');
  expect(plain).toMatchObject({ exitCode: 1, out: '' });
  expect(plain.err).toContain(`No agent runs in ${home}`);
  const { err } = await command('pause', '--json');
  expect(JSON.parse(err)).toMatchObject({ error: { code: 'no-agent' } });
  await start();
  expect((await command('status', '--home', join(home, 'elsewhere'))).exitCode).toBe(1);
});

test('a resume that the owner’s file speaks against says so and ends with 1', async () => {
  writeFileSync(join(home, 'owner.json'), JSON.stringify({ paused: true }));
  await start();
  const { exitCode, err } = await command('resume');
  expect(exitCode).toBe(1);
  expect(err).toContain(join(home, 'owner.json'));
});

test('nobody but the agent’s user can open the socket, which is made anew over what a killed agent left', async () => {
  mkdirSync(dirname(path), { mode: 0o777 });
  writeFileSync(path, 'left over');
  await start();
  expect(statSync(path).isSocket()).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  await server?.close();
  server = undefined;
  expect(() => statSync(path)).toThrow('ENOENT');
});

test('what is no request gets an error, and the agent goes on', async () => {
  await start();
  expect(await rawAnswer('nonsense\n')).toContain('not JSON');
  expect(await rawAnswer('{"command":"rm"}\n')).toContain('it knows status, pause, resume, drain');
  expect(await rawAnswer('{"command":"status","more":1}\n')).toContain('"ok":false');
  expect(await rawAnswer('x'.repeat(5_000))).toContain('at most 4096 bytes');
  expect((await command('status')).exitCode).toBe(0);
});

test('who connects and says nothing is hung up on, and does not keep the agent from closing', async () => {
  await start({ deadlineMs: 100 });
  expect(await rawAnswer('{"command":')).toBe('');
  await server?.close();
  await start({ deadlineMs: 60_000 });
  const silent = rawAnswer('');
  await new Promise<void>((resolve) => connect(path, resolve).on('error', () => undefined));
  await server?.close();
  server = undefined;
  expect(await silent).toBe('');
});

test('an agent that does not answer is given up after a while', async () => {
  const policy = await start();
  const never = Object.assign(Object.create(policy), { drain: () => new Promise(() => undefined) });
  await server?.close();
  await start({ policy: never });
  const asked = askAgent({ path, home, deadlineMs: 100 }, { command: 'drain' });
  await expect(asked).rejects.toThrow('no answer in 100 ms');
});

test('a path that the system would cut is refused on both sides', async () => {
  path = join(home, 'x'.repeat(120), 'agent.sock');
  await expect(start()).rejects.toThrow('too long');
  await expect(askAgent({ path, home }, { command: 'status' })).rejects.toThrow('shorter PROVIDER_HOME');
});

test('the doctor names what keeps an agent from working, with a way out, and ends with 1', async () => {
  writeFileSync(join(home, 'owner.json'), JSON.stringify({ idle_secs: 3 }));
  const { exitCode, out } = await command('doctor', '--json');
  expect(exitCode).toBe(1);
  const findings = JSON.parse(out) as Finding[];
  const problems = findings.filter(({ state }) => state === 'problem');
  expect(problems.map(({ check }) => check)).toEqual(
    expect.arrayContaining(['rules', 'Docker', 'joined', 'market']),
  );
  for (const { remedy } of problems) expect(remedy).not.toBe('');
  expect(findings.find(({ check }) => check === 'rules')?.says).toContain('idle_secs');
  expect(findings.find(({ check }) => check === 'folder')).toMatchObject({ state: 'ok' });
});

test('the doctor says which settings are wrong, finds an agent that runs, and changes nothing', async () => {
  const [wrong] = await examineMachine({ PROVIDER_HOME: home, PROVIDER_SPOT_PERCENT: '900' });
  expect(wrong).toMatchObject({ check: 'settings', state: 'problem' });
  expect(wrong?.says).toContain('PROVIDER_SPOT_PERCENT');
  await start();
  const before = readdirSync(home);
  const { out } = await command('doctor');
  expect(out).toContain('runs: Ready, waiting for a job.');
  expect(out).toContain('PROVIDER_JOIN_TOKEN');
  expect(readdirSync(home)).toEqual(before);
});
