import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newBearer } from '@computefabric/protocol/api-key';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { pause } from '@computefabric/runtime/wait';
import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseEngineAddress } from './container/engine-address.ts';
import { importImage, shellLayer } from './container/testing/shell-image.ts';
import { type LockOwner, readLock } from './home/home-lock.ts';
import { isProcessAlive } from './home/process-identity.ts';
import { FakeOrchestrator, type FakeLease, outputOf } from './testing/fake-orchestrator.ts';
import { testSpec } from './testing/test-spec.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const docker = new Docker(parseEngineAddress(process.env.DOCKER_HOST ?? null));
const image = `computefabric/test-agent-${process.pid}:1`;
const seconds = 1_000;

beforeAll(async () => {
  execFileSync(process.execPath, ['scripts/bundle.mjs', 'provider', 'guard'], { cwd: root });
  await importImage(docker, image, await shellLayer(), ['ENV PATH=/bin']);
});
afterAll(async () => {
  await docker.getImage(image).remove({ force: true });
});

let market: FakeOrchestrator;
let agents: AgentProcess[];
let homes: string[];
beforeEach(async () => {
  market = await FakeOrchestrator.start({ leaseTtlSeconds: 6, heartbeatSeconds: 0.5 });
  agents = [];
  homes = [];
});
afterEach(async () => {
  for (const agent of agents) await agent.end('SIGKILL');
  for (const home of homes) {
    const guard = await readLock(join(home, 'guard.lock'));
    if (guard && isProcessAlive(guard)) process.kill(guard.pid, 'SIGKILL');
    rmSync(home, { recursive: true, force: true });
  }
  for (const lease of market.leases.keys()) {
    for (const { Id } of await containersOf(lease))
      await docker.getContainer(Id).remove({ force: true, v: true });
  }
  await market.goAway();
  expect(market.violations).toEqual([]);
});

/** The real agent as a real process. */
class AgentProcess {
  readonly child: ChildProcess;
  output = '';

  constructor(home: string, env: Record<string, string>) {
    const { PATH = '', HOME = '', DOCKER_HOST = '' } = process.env;
    this.child = spawn(process.execPath, ['provider/dist/main.mjs'], {
      cwd: root,
      env: {
        PATH,
        HOME,
        DOCKER_HOST,
        COMPUTEFABRIC_URL: market.url,
        PROVIDER_HOME: home,
        PROVIDER_CPUS: '2',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const take = (bytes: Buffer) => {
      this.output += bytes.toString();
    };
    this.child.stdout?.on('data', take);
    this.child.stderr?.on('data', take);
    agents.push(this);
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits until it has ended by itself; its exit code. */
  async ended(): Promise<number | null> {
    if (this.running) await once(this.child, 'close', { signal: AbortSignal.timeout(40 * seconds) });
    return this.child.exitCode;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.running) this.child.kill(signal);
    return this.ended();
  }
}

function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'cf-agent-docker-'));
  homes.push(home);
  return home;
}

async function startAgent(home: string): Promise<AgentProcess> {
  const hellos = market.hellos.length;
  const joined = existsSync(join(home, 'credential.json'));
  const agent = new AgentProcess(home, joined ? {} : { PROVIDER_JOIN_TOKEN: market.joinToken });
  await market.until('the agent says hello', () => {
    if (!agent.running) throw new Error(`the agent ended:\n${agent.output}`);
    return market.hellos.length > hellos;
  });
  return agent;
}

function job(command: string, change: Partial<TaskSpec> = {}): TaskSpec {
  return testSpec({ image, command, cpus: 0.5, memory_mib: 64, ...change });
}

/** Numbered lines, quick enough that a kill falls into the middle of something. */
const counting = (lines: number) =>
  `i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); usleep 5000; done`;
const numbered = (lines: number) => Array.from({ length: lines }, (_, at) => `line ${at}\n`).join('');

async function containersOf(lease: string) {
  return await docker.listContainers({ all: true, filters: { label: [`computefabric.lease=${lease}`] } });
}

async function untilNoContainer(lease: FakeLease, ms: number): Promise<void> {
  const deadline = performance.now() + ms;
  while ((await containersOf(lease.spec.lease_id)).length > 0) {
    if (performance.now() > deadline) throw new Error(`the container is still there after ${ms} ms`);
    await pause(100);
  }
}

async function guardOf(home: string): Promise<LockOwner> {
  const deadline = performance.now() + 20 * seconds;
  for (;;) {
    const guard = await readLock(join(home, 'guard.lock'));
    if (guard && isProcessAlive(guard)) return guard;
    if (performance.now() > deadline) throw new Error('there is no watchdog');
    await pause(50);
  }
}

async function untilGone(who: { pid: number; identity: string }, ms: number): Promise<void> {
  const deadline = performance.now() + ms;
  while (isProcessAlive(who)) {
    if (performance.now() > deadline) throw new Error(`process ${who.pid} is still there after ${ms} ms`);
    await pause(50);
  }
}

test('a job runs in a real container, and SIGTERM leaves nothing behind', async () => {
  const home = newHome();
  const agent = await startAgent(home);
  const done = market.offer(job('echo hello; echo oops >&2; echo result > /outputs/r.txt; exit 3'));
  await market.until('the job is released', () => done.state === 'released', 40 * seconds);
  expect(done.effects).toEqual(['accept', 'started', 'exited', 'ended:exited-nonzero', 'released']);
  expect([outputOf(done), outputOf(done, 'stderr'), done.results.get('r.txt')?.toString()]).toEqual([
    'hello\n',
    'oops\n',
    'result\n',
  ]);
  const hungry = market.offer(job('a=x; while true; do a=$a$a$a; done', { memory_mib: 16 }));
  await market.until('the memory is used up', () => hungry.state === 'released', 40 * seconds);
  expect(hungry.ended?.reason).toBe('out-of-memory');

  const running = market.offer(job('echo started; sleep 600'));
  await market.until('the next one prints', () => outputOf(running) === 'started\n', 40 * seconds);
  const guard = await guardOf(home);
  expect(await agent.end('SIGTERM'), agent.output).toBe(0);
  expect(running.effects).toEqual(['accept', 'started', 'exited', 'ended:provider-left', 'released']);
  for (const lease of [done, hungry, running]) expect(await containersOf(lease.spec.lease_id)).toEqual([]);
  expect(isProcessAlive(guard)).toBe(false);
  expect(readdirSync(join(home, 'tasks'))).toEqual([]);
  expect(market.goodbyes).toEqual([false, true]);
});

test('kill -9 in the middle of the output, and a restart: the same container goes on, every line is there once', async () => {
  // A start on a busy machine may take longer than the short lease time of the other tests.
  await market.goAway();
  market = await FakeOrchestrator.start({ leaseTtlSeconds: 30, heartbeatSeconds: 0.5 });
  const home = newHome();
  const first = await startAgent(home);
  const lease = market.offer(job(counting(800)));
  await market.until('it prints', () => outputOf(lease).includes('line 40\n'), 40 * seconds);
  const [before] = await containersOf(lease.spec.lease_id);
  await first.end('SIGKILL');
  const second = await startAgent(home);
  await market.until('it prints more', () => outputOf(lease).includes('line 300\n'), 40 * seconds);
  await second.end('SIGKILL');
  await startAgent(home);
  const [after] = await containersOf(lease.spec.lease_id);
  expect(after?.Id).toBe(before?.Id);
  await market.until('it is released', () => lease.state === 'released', 40 * seconds);
  expect(lease.effects).toEqual(['accept', 'started', 'exited', 'ended:exited-zero', 'released']);
  expect(outputOf(lease)).toBe(numbered(800));
  expect(outputOf(lease, 'system')).toBe('');
});

test('kill -9 and no restart: the watchdog removes the container after the lease time, then ends', async () => {
  const home = newHome();
  const agent = await startAgent(home);
  const lease = market.offer(job('echo started; sleep 600'));
  await market.until('it runs', () => outputOf(lease) === 'started\n', 40 * seconds);
  const guard = await guardOf(home);
  await agent.end('SIGKILL');
  const diedAt = performance.now();
  expect(await containersOf(lease.spec.lease_id)).toHaveLength(1);
  await untilNoContainer(lease, 20 * seconds);
  // Not before the lease could have run out: six seconds from a heartbeat at most half a second before.
  expect(performance.now() - diedAt).toBeGreaterThan(5 * seconds);
  await untilGone(guard, 10 * seconds);

  // Whoever starts it again finds the mark, and the market has the last word: here the lease is lost.
  await startAgent(home);
  await market.until('nothing is left', () => readdirSync(join(home, 'tasks')).length === 0, 20 * seconds);
  expect(lease.ended).toBeNull();
});

test('a frozen agent does not keep its container alive, not even one whose output nobody reads', async () => {
  const home = newHome();
  const agent = await startAgent(home);
  const quiet = market.offer(job('sleep 600'));
  const flood = market.offer(
    job('while true; do echo some more output to fill every buffer on the way; done'),
  );
  await market.until(
    'both run',
    () => quiet.started !== null && outputOf(flood).length > 1_000,
    40 * seconds,
  );
  agent.child.kill('SIGSTOP');
  await untilNoContainer(quiet, 30 * seconds);
  await untilNoContainer(flood, 30 * seconds);
});

test('one agent per folder; agents of other folders leave each other’s containers alone', async () => {
  const home = newHome();
  const agent = await startAgent(home);
  const lease = market.offer(job('echo started; sleep 600'));
  await market.until('it runs', () => outputOf(lease) === 'started\n', 40 * seconds);

  const twin = new AgentProcess(home, {});
  expect(await twin.ended()).toBe(1);
  expect(twin.output).toContain(`process ${agent.child.pid}`);

  // Another machine of another market on the same engine, with a start and an orderly end.
  const ours = market;
  market = await FakeOrchestrator.start();
  const other = await startAgent(newHome());
  const theirs = market.offer(job('sleep 600'));
  await market.until('theirs runs', () => theirs.started !== null, 40 * seconds);
  expect(await other.end('SIGTERM'), other.output).toBe(0);
  expect(await containersOf(theirs.spec.lease_id)).toEqual([]);
  await market.goAway();
  market = ours;

  const [still] = await containersOf(lease.spec.lease_id);
  expect(still?.State).toBe('running');
  expect(agent.running).toBe(true);
});

test('a watchdog that dies is replaced', async () => {
  const home = newHome();
  await startAgent(home);
  const guard = await guardOf(home);
  process.kill(guard.pid, 'SIGKILL');
  await untilGone(guard, 5 * seconds);
  expect((await guardOf(home)).pid).not.toBe(guard.pid);
  expect(readFileSync(join(home, 'guard.log'), 'utf8')).not.toContain('Error');
});

test('what the owner has to put right is said in a sentence, with an exit code of its own', async () => {
  const cases: Array<[Record<string, string>, number, RegExp]> = [
    [{ PROVIDER_NETWORK: 'host' }, 2, /PROVIDER_NETWORK/],
    [{}, 2, /PROVIDER_JOIN_TOKEN/],
    [{ PROVIDER_SIMULATED_GPUS: 'many' }, 2, /PROVIDER_SIMULATED_GPUS/],
    [{ PROVIDER_JOIN_TOKEN: 'wrong' }, 2, /no join token/],
    [{ PROVIDER_JOIN_TOKEN: newBearer('join').token }, 3, /did not let this machine join/],
    [{ DOCKER_HOST: 'unix:///nowhere/docker.sock' }, 4, /nowhere/],
  ];
  for (const [env, code, sentence] of cases) {
    const agent = new AgentProcess(newHome(), env);
    expect(await agent.ended(), agent.output).toBe(code);
    expect(agent.output).toMatch(sentence);
  }
});
