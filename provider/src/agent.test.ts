import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { afterEach, expect, test, vi } from 'vitest';
import { ContainerError } from './container/container-error.ts';
import { testTaskSpec } from './container/testing/task-spec.ts';
import { ReplacedError } from './control-plane/session.ts';
import { AgentBench, slowImage, testImage } from './testing/agent-bench.ts';
import { type FakeLease, outputOf } from './testing/fake-orchestrator.ts';
import { testSpec } from './testing/test-spec.ts';

const seconds = 1_000;
vi.setConfig({ testTimeout: 30 * seconds, hookTimeout: 30 * seconds });

let bench: AgentBench;
afterEach(async () => {
  await bench.close();
  expect(bench.market.violations).toEqual([]);
});

function job(command: string, change: Partial<TaskSpec> = {}): TaskSpec {
  return testSpec({ image: testImage, command, ...change });
}

function numbered(lines: number): string {
  return Array.from({ length: lines }, (_, at) => `line ${at}\n`).join('');
}

/** Prints numbered lines, one every few milliseconds, then ends with the code. */
function printing(lines: number, everyMs: number, exitCode = 0) {
  bench.program('print', async (process) => {
    for (let at = 0; at < lines; at += 1) {
      await process.print('stdout', `line ${at}\n`);
      await process.sleep(everyMs);
    }
    return exitCode;
  });
}

function waiting() {
  bench.program('wait', async (process) => {
    await process.print('stdout', 'waiting\n');
    await process.sleep(600 * seconds);
    return 0;
  });
}

async function released(lease: FakeLease, ms?: number): Promise<void> {
  await bench.market.until('the lease is released', () => lease.state === 'released', ms);
}

async function started(lease: FakeLease): Promise<void> {
  await bench.market.until('the program runs', () => lease.started !== null);
}

/** Nothing of any task is left: no container, no journal. */
async function nothingLeft(): Promise<void> {
  await bench.market.until('no journal is left', () => readdirSync(bench.home.tasks).length === 0);
  expect([...bench.engine.containers.keys()]).toEqual([]);
}

const whole = ['accept', 'started', 'exited'];

test('a job runs from offer to release, and its output, exit code and results arrive', async () => {
  bench = await AgentBench.open();
  bench.program('work', async (process) => {
    await process.print('stdout', 'working\n');
    await process.print('stderr', 'a warning\n');
    process.writeOutput('model.json', '{"a":1}');
    process.writeOutput('deep/er/log.txt', 'ü'.repeat(100_000));
    process.writeOutput('empty', '');
    process.leave('link', 'symlink');
    return 3;
  });
  await bench.startAgent();
  const lease = bench.market.offer(job('work'));
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:exited-nonzero', 'released']);
  expect(lease.exited).toEqual({ exitCode: 3 });
  expect(lease.ended).toMatchObject({ exit_code: 3, log_chunks: lease.chunks.length });
  expect(outputOf(lease)).toBe('working\n');
  expect(outputOf(lease, 'stderr')).toBe('a warning\n');
  expect(outputOf(lease, 'system')).toMatch(/Not saved from \/outputs: .*link/);
  expect([...lease.results].map(([path, bytes]) => [path, bytes.toString()])).toEqual([
    ['model.json', '{"a":1}'],
    ['deep/er/log.txt', 'ü'.repeat(100_000)],
    ['empty', ''],
  ]);
  expect(lease.started?.imageDigest).toMatch(/^sha256:/);
  await nothingLeft();
});

test('a container that an earlier process left unstarted is not run, it may be half made: another one is', async () => {
  bench = await AgentBench.open();
  bench.program('half', async () => 1);
  bench.program('whole', async (process) => {
    process.writeOutput('result', 'whole');
    return 0;
  });
  await bench.startAgent();
  const spec = job('whole');
  await bench.driver.createTask(
    testTaskSpec({ leaseId: spec.lease_id, jobId: spec.job_id, image: testImage, command: 'half' }),
  );
  const lease = bench.market.offer(spec);
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:exited-zero', 'released']);
  expect(lease.results.get('result')?.toString()).toBe('whole');
  await nothingLeft();
});

test('a container whose prepared network is gone when it starts is made anew at once, and the job knows nothing of it', async () => {
  bench = await AgentBench.open();
  bench.program('work', async (process) => {
    await process.print('stdout', 'working\n');
    return 0;
  });
  await bench.startAgent();
  vi.spyOn(bench.driver, 'startTask').mockRejectedValueOnce(new ContainerError('network-gone', 'gone'));
  const lease = bench.market.offer(job('work'));
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:exited-zero', 'released']);
  expect(outputOf(lease)).toBe('working\n');
  await nothingLeft();
});

test('a program that prints is reported as running, though the engine has not answered that it has started it', async () => {
  bench = await AgentBench.open();
  printing(3, 1);
  await bench.startAgent();
  const start = bench.driver.startTask.bind(bench.driver);
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  vi.spyOn(bench.driver, 'startTask').mockImplementationOnce(async (id) => {
    await start(id);
    await answered;
  });
  const lease = bench.market.offer(job('print'));
  await bench.market.until('its output is there', () => outputOf(lease).includes('line 0'));
  expect(lease.started).not.toBeNull();
  answer();
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:exited-zero', 'released']);
  expect(outputOf(lease)).toBe(numbered(3));
});

test('whatever call loses its request or its answer, the job is the same job, once', async () => {
  bench = await AgentBench.open({ leaseTtlSeconds: 20 });
  printing(40, 2);
  const calls = [
    'acceptLease',
    'startedLease',
    'appendLogs',
    'exitedLease',
    'putArtifact',
    'endedLease',
    'releasedLease',
  ];
  bench.program('work', async (process) => {
    await process.print('stdout', numbered(200));
    process.writeOutput('result', 'result');
    return 0;
  });
  await bench.startAgent();
  for (const kind of ['lost-before', 'lost-after', 'server-error', 'delayed'] as const) {
    for (const call of calls) bench.market.faults.push({ call, kind, times: 1 });
    const lease = bench.market.offer(job('work'));
    await released(lease, 30 * seconds);
    expect(lease.effects, kind).toEqual([...whole, 'ended:exited-zero', 'released']);
    expect(outputOf(lease)).toBe(numbered(200));
    expect([...lease.results.keys()]).toEqual(['result']);
    expect(bench.market.faults.every((fault) => fault.times === 0)).toBe(true);
  }
  await nothingLeft();
}, 60_000);

test('megabytes of output on both streams arrive exactly', async () => {
  bench = await AgentBench.open({ leaseTtlSeconds: 20 });
  const hashes = { stdout: createHash('sha256'), stderr: createHash('sha256') };
  bench.program('flood', async (process) => {
    for (let at = 0; at < 400; at += 1) {
      const stream = at % 3 === 0 ? 'stderr' : 'stdout';
      const text = `${at}: ${'é'.repeat(at * 37)}${at % 5 ? '\n' : ''}`;
      hashes[stream].update(text);
      await process.print(stream, text);
    }
    return 0;
  });
  await bench.startAgent();
  const lease = bench.market.offer(job('flood'));
  await released(lease);
  for (const stream of ['stdout', 'stderr'] as const) {
    const arrived = createHash('sha256').update(outputOf(lease, stream)).digest('hex');
    expect(arrived).toBe(hashes[stream].digest('hex'));
  }
});

test('a line is at the orchestrator in a fraction of a second', async () => {
  bench = await AgentBench.open();
  waiting();
  await bench.startAgent();
  const lease = bench.market.offer(job('wait'));
  await started(lease);
  await bench.market.until('the line is there', () => outputOf(lease) === 'waiting\n', 1 * seconds);
});

test('a cancelled program is asked to end, then made to; its output and results still arrive', async () => {
  bench = await AgentBench.open();
  bench.program('stubborn', async (process) => {
    process.onTerminate(() => {
      void process.print('stdout', 'not yet\n');
      process.writeOutput('partial', 'half');
    });
    await process.print('stdout', 'running\n');
    await process.sleep(600 * seconds);
    return 0;
  });
  await bench.startAgent();
  const lease = bench.market.offer(job('stubborn', { stop_grace_seconds: 1 }));
  await bench.market.until('it prints', () => outputOf(lease) === 'running\n');
  bench.market.cancel(lease);
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:cancelled', 'released']);
  expect(lease.exited).toEqual({ exitCode: 137 });
  expect(outputOf(lease)).toBe('running\nnot yet\n');
  expect([...lease.results.keys()]).toEqual(['partial']);
  expect(lease.taskStates).toContain('stopping');
  await nothingLeft();
});

test('a job that is cancelled while its image is pulled ends at once and runs nothing', async () => {
  bench = await AgentBench.open();
  await bench.startAgent();
  const lease = bench.market.offer(job('anything', { image: slowImage }));
  await bench.market.until('it pulls', () => lease.taskStates.includes('pulling'));
  bench.market.cancel(lease);
  await released(lease, 3 * seconds);
  expect(lease.effects).toEqual(['accept', 'ended:cancelled', 'released']);
});

test('a program is stopped at its time limit by the machine’s own clock', async () => {
  bench = await AgentBench.open();
  waiting();
  await bench.startAgent();
  const lease = bench.market.offer(job('wait', { time_limit_seconds: 1 }));
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:time-limit', 'released']);
});

test('a program that ran out of memory is reported so although it exits with 0', async () => {
  bench = await AgentBench.open();
  bench.program('hungry', (process) => {
    process.lackMemory();
    return Promise.resolve(0);
  });
  await bench.startAgent();
  const lease = bench.market.offer(job('hungry'));
  await released(lease);
  expect(lease.ended).toMatchObject({ reason: 'out-of-memory', exit_code: 0 });
});

test.each([
  ['image-not-found', 'image-unavailable'],
  ['pull-denied', 'image-unavailable'],
  ['disk-full', 'provider-error'],
  ['registry-unreachable', 'provider-error'],
] as const)('a pull that fails with %s is reported at once as %s', async (code, reason) => {
  bench = await AgentBench.open();
  bench.engine.registry.set('example/broken:latest', { kind: 'failure', code });
  await bench.startAgent();
  const lease = bench.market.offer(job('x', { image: 'example/broken:latest' }));
  await released(lease, 3 * seconds);
  expect(lease.effects).toEqual(['accept', `ended:${reason}`, 'released']);
  expect(lease.ended?.detail).toContain('example/broken');
});

test('a job whose image is too large for the owner is declined before it is taken, and says why', async () => {
  bench = await AgentBench.open();
  bench.imageSizes.set('example/huge:latest', 2 ** 41);
  await bench.startAgent();
  const lease = bench.market.offer(job('x', { image: 'example/huge:latest' }));
  await bench.market.until('it is declined', () => lease.state === 'rejected');
  expect(lease.rejectedBecause).toBe('its image has 2.2 TB to fetch; this machine takes 1.1 TB');
});

test('a login for a private image is asked for when it is pulled, and never written down', async () => {
  bench = await AgentBench.open();
  bench.program('x', () => Promise.resolve(0));
  bench.engine.registry.set('example/private:1', {
    kind: 'image',
    image: { sizeBytes: 1_000, program: null },
  });
  bench.market.registryLogin = { username: 'somebody', password: 'p4ssw0rd' };
  let seen: unknown;
  const pull = bench.driver.pullImage.bind(bench.driver);
  bench.driver.pullImage = (reference, options) => {
    seen = options.login;
    // While it is being pulled everything of the task that is kept lies on the disk.
    const files = readdirSync(bench.home.root, { recursive: true, withFileTypes: true });
    const kept = files.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
    expect(kept.some((path) => path.includes('lease_'))).toBe(true);
    for (const path of kept) expect(readFileSync(path, 'latin1')).not.toContain('p4ssw0rd');
    return pull(reference, options);
  };
  await bench.startAgent();
  const lease = bench.market.offer(job('x', { image: 'example/private:1', registry_login: true }));
  await released(lease);
  expect(seen).toEqual(bench.market.registryLogin);
  expect(lease.ended?.reason).toBe('exited-zero');
  await bench.market.until('it is gone', () => !bench.engine.images.has('example/private:1'));
  expect(bench.market.cachedImages.flat()).not.toContain('example/private:1');
});

test('an image that many ask for is pulled while nothing is to do, and the market is told', async () => {
  bench = await AgentBench.open();
  bench.engine.registry.set('popular:1', { kind: 'image', image: { sizeBytes: 1_000, program: null } });
  bench.market.wantedImages = ['popular:1'];
  await bench.startAgent();
  const hasIt = (names: string[] | undefined) => names?.includes('popular:1') ?? false;
  await bench.market.until('it is told', () => hasIt(bench.market.cachedImages.at(-1)), 20_000);
  expect(hasIt(bench.market.cachedImages[0])).toBe(false);
});

test('an image that is not here is pulled, with its progress told', async () => {
  bench = await AgentBench.open();
  bench.program('x', () => Promise.resolve(0));
  bench.engine.registry.set('example/other:latest', {
    kind: 'image',
    image: { sizeBytes: 4_000, program: null },
  });
  await bench.startAgent();
  const lease = bench.market.offer(job('x', { image: 'example/other:latest' }));
  await released(lease);
  expect(lease.ended?.reason).toBe('exited-zero');
  const slow = bench.market.offer(job('x', { image: slowImage }));
  await bench.market.until('progress is told', () => slow.progress.length > 0);
});

test('an image without a command is the renter’s to correct', async () => {
  bench = await AgentBench.open();
  await bench.startAgent();
  const lease = bench.market.offer(testSpec({ image: testImage, command: null }));
  await released(lease);
  expect(lease.effects).toEqual(['accept', 'ended:start-failed', 'released']);
});

test('a try that was taken away is killed and removed, and nothing more is said about it', async () => {
  bench = await AgentBench.open();
  waiting();
  await bench.startAgent();
  const lease = bench.market.offer(job('wait'));
  await started(lease);
  bench.market.lose(lease);
  await nothingLeft();
  expect(lease.effects).toEqual(['accept', 'started']);
  expect(bench.market.countOf('endedLease', lease)).toBe(0);
});

test('an orchestrator that is away for less than a lease time changes nothing', async () => {
  bench = await AgentBench.open({ leaseTtlSeconds: 6 });
  printing(100, 15);
  await bench.startAgent();
  const lease = bench.market.offer(job('print'));
  await bench.market.until('it prints', () => outputOf(lease).includes('line 20'));
  await bench.market.goAway();
  const [container] = bench.engine.containers.values();
  await bench.market.until('the program has ended meanwhile', () => container?.status.state === 'exited');
  await bench.market.comeBack();
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:exited-zero', 'released']);
  expect(outputOf(lease)).toBe(numbered(100));
});

test('when nothing is heard for a whole lease time the program is stopped, and nobody waits for it', async () => {
  bench = await AgentBench.open({ leaseTtlSeconds: 1, heartbeatSeconds: 0.2 });
  waiting();
  await bench.startAgent();
  const lease = bench.market.offer(job('wait'));
  await started(lease);
  await bench.market.fallSilent();
  const awaySince = performance.now();
  await bench.market.until('the container is gone', () => bench.engine.containers.size === 0);
  expect(performance.now() - awaySince).toBeGreaterThan(500);
  expect(performance.now() - awaySince).toBeLessThan(3 * seconds);
  await bench.market.until('three lease times are over', () => performance.now() - awaySince > 3 * seconds);
  // An orchestrator that was away itself has given the lease a fresh term: it hears what happened.
  await bench.market.comeBack();
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:provider-error', 'released']);
  expect(outputOf(lease)).toBe('waiting\n');
  await nothingLeft();
}, 30_000);

test('an orchestrator that is down, and not merely unheard, costs no running program', async () => {
  bench = await AgentBench.open({ leaseTtlSeconds: 1, heartbeatSeconds: 0.2 });
  waiting();
  await bench.startAgent();
  const lease = bench.market.offer(job('wait'));
  await started(lease);
  await bench.market.goAway();
  const awaySince = performance.now();
  await bench.market.until('three lease times are over', () => performance.now() - awaySince > 3 * seconds);
  await bench.market.comeBack();
  await bench.market.until('it says hello again', () => bench.market.hellos.length === 2);
  expect(bench.market.hellos.at(-1)?.tasks).toMatchObject([{ task_state: 'running' }]);
  bench.market.cancel(lease);
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:cancelled', 'released']);
});

test('a job that bears silence goes on through more of it than the lease time, and no longer than it said', async () => {
  bench = await AgentBench.open({ leaseTtlSeconds: 1, heartbeatSeconds: 0.2 });
  waiting();
  await bench.startAgent();
  const lease = bench.market.offer(job('wait', { stop_after_silence_seconds: 3 }));
  await started(lease);
  await bench.market.fallSilent();
  const since = performance.now();
  await bench.market.until('the container is gone', () => bench.engine.containers.size === 0);
  expect(performance.now() - since).toBeGreaterThan(2.5 * seconds);
  await bench.market.comeBack();
  await released(lease);
  expect(lease.ended?.reason).toBe('provider-error');
});

test('a program that has to give way is killed when the notice is over, whatever its grace time', async () => {
  bench = await AgentBench.open();
  bench.program('stubborn', async (process) => {
    process.onTerminate(() => void process.print('stdout', 'not yet\n'));
    await process.sleep(600 * seconds);
    return 0;
  });
  await bench.startAgent();
  const lease = bench.market.offer(job('stubborn', { stop_grace_seconds: 60 }));
  await started(lease);
  bench.market.cancel(lease, 1);
  await released(lease, 10 * seconds);
  expect(lease.exited).toEqual({ exitCode: 137 });
  expect(outputOf(lease)).toBe('not yet\n');
});

test('results of a program that ended in time wait for an orchestrator that is away longer than the lease', async () => {
  bench = await AgentBench.open({ leaseTtlSeconds: 1, heartbeatSeconds: 0.2 });
  bench.program('work', async (process) => {
    await process.sleep(300);
    process.writeOutput('result', 'r');
    return 0;
  });
  await bench.startAgent();
  const lease = bench.market.offer(job('work'));
  await started(lease);
  await bench.market.goAway();
  const awaySince = performance.now();
  await bench.market.until('three lease times are over', () => performance.now() - awaySince > 3 * seconds);
  await bench.market.comeBack();
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:exited-zero', 'released']);
  expect([...lease.results.keys()]).toEqual(['result']);
});

test('an agent that comes back adopts what runs: no line is lost and none is doubled', async () => {
  bench = await AgentBench.open();
  printing(300, 5);
  await bench.startAgent();
  const lease = bench.market.offer(job('print'));
  for (const line of ['line 20\n', 'line 120\n', 'line 200\n']) {
    await bench.market.until(`it has printed ${line}`, () => outputOf(lease).includes(line));
    await bench.leaveAgent();
    await bench.startAgent();
  }
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:exited-zero', 'released']);
  expect(outputOf(lease)).toBe(numbered(300));
  expect(bench.market.hellos.at(-1)?.tasks).toMatchObject([
    { lease_id: lease.spec.lease_id, task_state: 'running' },
  ]);
  await nothingLeft();
}, 20_000);

test('what ended while no agent was there is reported by the next one', async () => {
  bench = await AgentBench.open();
  printing(20, 20, 7);
  await bench.startAgent();
  const lease = bench.market.offer(job('print'));
  await started(lease);
  await bench.leaveAgent();
  const [container] = bench.engine.containers.values();
  await bench.market.until('it has ended', () => container?.status.state === 'exited');
  await bench.startAgent();
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:exited-nonzero', 'released']);
  expect(outputOf(lease)).toBe(numbered(20));
});

test('an agent that comes back after the lease has gone elsewhere removes what it finds and says nothing', async () => {
  bench = await AgentBench.open();
  waiting();
  await bench.startAgent();
  const lease = bench.market.offer(job('wait'));
  await started(lease);
  await bench.leaveAgent();
  bench.market.lose(lease);
  await bench.startAgent();
  await nothingLeft();
  expect(lease.effects).toEqual(['accept', 'started']);
});

test('an agent that comes back when the lease time is over stops the program without asking anybody', async () => {
  bench = await AgentBench.open({ leaseTtlSeconds: 1, heartbeatSeconds: 0.2 });
  waiting();
  await bench.startAgent();
  const lease = bench.market.offer(job('wait'));
  await started(lease);
  await bench.leaveAgent();
  await bench.market.goAway();
  const goneSince = performance.now();
  await bench.market.until('the lease time is over', () => performance.now() - goneSince > 1_500);
  await bench.startAgent();
  await bench.market.until('the container is gone', () => bench.engine.containers.size === 0);
});

test('a newer process of the machine ends this one, which touches nothing', async () => {
  bench = await AgentBench.open();
  waiting();
  const { ended } = await bench.startAgent();
  const lease = bench.market.offer(job('wait'));
  await started(lease);
  bench.market.replaceAgent();
  const end = await ended;
  expect(end.kind === 'failed' && end.error).toBeInstanceOf(ReplacedError);
  expect([...bench.engine.containers.values()].map(({ status }) => status.state)).toEqual(['running']);
  expect(readdirSync(bench.home.tasks)).toEqual([lease.spec.lease_id]);
});

test('an owner who takes the machine back stops everything gently and leaves no container', async () => {
  bench = await AgentBench.open();
  waiting();
  const { ended } = await bench.startAgent();
  const running = bench.market.offer(job('wait'));
  const pulling = bench.market.offer(job('x', { image: slowImage }));
  await started(running);
  await bench.market.until('it pulls', () => pulling.taskStates.includes('pulling'));
  // Late answers: heartbeats and polls fall into the time in which the session has ended already.
  bench.market.faults.push({ call: 'goodbyeProvider', kind: 'delayed-after', delayMs: 1_500, times: 2 });
  await bench.drainAgent();
  expect(await ended).toEqual({ kind: 'left' });
  expect(running.effects).toEqual([...whole, 'ended:provider-left', 'released']);
  expect(pulling.effects).toEqual(['accept', 'ended:provider-left', 'released']);
  expect(outputOf(running)).toBe('waiting\n');
  expect(bench.market.goodbyes).toEqual([false, true]);
  await nothingLeft();
});

test('an owner who gives jobs less time than they ask for has the machine back after that', async () => {
  bench = await AgentBench.open({ moveGraceSeconds: 1 });
  bench.program('deaf', async (process) => {
    process.onTerminate(() => undefined);
    await process.sleep(600 * seconds);
    return 0;
  });
  await bench.startAgent();
  const running = bench.market.offer(job('deaf', { stop_grace_seconds: 300 }));
  await started(running);
  await bench.drainAgent();
  expect(running.effects).toEqual([...whole, 'ended:provider-left', 'released']);
  await nothingLeft();
});

test('what an orchestrator that is away could not be told at a drain, the next start tells it', async () => {
  bench = await AgentBench.open({ leaseTtlSeconds: 60 });
  waiting();
  await bench.startAgent();
  const lease = bench.market.offer(job('wait'));
  await bench.market.until('it prints', () => outputOf(lease) === 'waiting\n');
  await bench.market.goAway();
  await bench.drainAgent();
  expect([...bench.engine.containers.keys()]).toEqual([]);
  await bench.market.comeBack();
  await bench.startAgent();
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:provider-left', 'released']);
  expect(outputOf(lease)).toBe('waiting\n');
}, 40_000);

test('offers that do not suit the machine are declined with a reason, and one that comes twice is one', async () => {
  bench = await AgentBench.open({ inventory: { cpus: 1 } });
  waiting();
  await bench.startAgent();
  const fits = bench.market.offer(job('wait', { cpus: 0.75 }));
  await started(fits);
  bench.market.offerAgain(fits.spec);
  const tooBig = bench.market.offer(job('wait', { cpus: 0.5 }));
  const tooCheap = bench.market.offer(job('wait', { cpus: 0.1, price_per_hour_micros: '1' }));
  await bench.market.until(
    'both are declined',
    () => tooBig.state === 'rejected' && tooCheap.state === 'rejected',
  );
  expect(tooBig.rejectedBecause).toMatch(/CPU/);
  expect(tooCheap.rejectedBecause).toMatch(/price/);
  expect(bench.engine.containers.size).toBe(1);
  bench.market.cancel(fits);
  await released(fits);
});

test('what a task had is free for the next offer before the machine has heard that its release was heard', async () => {
  bench = await AgentBench.open({ inventory: { cpus: 1, gpus: [simulatedGpu] } });
  waiting();
  await bench.startAgent();
  const wants = { cpus: 1, gpu_uuids: [simulatedGpu.uuid], price_per_hour_micros: '350000' };
  const first = bench.market.offer(job('wait', wants));
  await started(first);
  let next: FakeLease | undefined;
  bench.market.onReleased = async (lease) => {
    if (lease !== first) return;
    const offered = bench.market.offer(job('wait', wants));
    next = offered;
    await bench.market.until('the offer is answered', () => offered.state !== 'offered');
  };
  bench.market.cancel(first);
  await released(first);
  await bench.market.until('the next one is answered', () => next !== undefined && next.state !== 'offered');
  expect(next?.rejectedBecause).toBeNull();
  expect(next?.state).toBe('active');
});

test('simulated GPUs are leased and counted, and the container gets none', async () => {
  bench = await AgentBench.open({ inventory: { gpus: [simulatedGpu] } });
  let seen: readonly string[] | undefined;
  bench.program('look', (process) => {
    seen = process.spec.gpuUuids;
    return Promise.resolve(0);
  });
  await bench.startAgent();
  const lease = bench.market.offer(
    job('look', { gpu_uuids: [simulatedGpu.uuid], price_per_hour_micros: '350000' }),
  );
  await released(lease);
  expect(lease.ended?.reason).toBe('exited-zero');
  expect(seen).toEqual([]);
});

const simulatedGpu = {
  uuid: 'SIM-1',
  index: 0,
  name: 'NVIDIA GeForce RTX 4090',
  memory_mib: 24_564,
  driver_version: null,
  compute_capability: null,
  simulated: true,
};

test('an engine that is away for a moment while a program runs costs nothing', async () => {
  bench = await AgentBench.open();
  printing(100, 10);
  await bench.startAgent();
  const lease = bench.market.offer(job('print'));
  await bench.market.until('it prints', () => outputOf(lease).includes('line 10'));
  bench.engine.reachable = false;
  await bench.leaveAgent(); // and the agent with it, so that it has to find its way back to both
  bench.engine.reachable = true;
  await bench.startAgent();
  await released(lease);
  expect(lease.effects).toEqual([...whole, 'ended:exited-zero', 'released']);
  expect(outputOf(lease)).toBe(numbered(100));
});

test('an orchestrator that has lost output gets it again before the end is accepted', async () => {
  bench = await AgentBench.open();
  printing(50, 2);
  await bench.startAgent();
  const lease = bench.market.offer(job('print'));
  bench.market.faults.push({ call: 'endedLease', kind: 'delayed', delayMs: 300, times: 1 });
  await bench.market.until('the program has ended', () => lease.exited !== null);
  await bench.market.until('the end is on its way', () =>
    bench.market.faults.every((fault) => fault.times === 0),
  );
  lease.chunks.length = Math.floor(lease.chunks.length / 2);
  await released(lease);
  expect(outputOf(lease)).toBe(numbered(50));
  expect(lease.effects).toEqual([...whole, 'ended:exited-zero', 'released']);
});
