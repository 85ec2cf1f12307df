import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { silentLogger } from '@computefabric/runtime/log';
import { afterEach, expect, test, vi } from 'vitest';
import { startControlServer } from './control/control-server.ts';
import { runOwnerCommand } from './control/owner-command.ts';
import { known, unknown } from './policy/readings.ts';
import { AgentBench, ownerAway, testImage } from './testing/agent-bench.ts';
import type { FakeLease } from './testing/fake-orchestrator.ts';
import { testSpec } from './testing/test-spec.ts';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

let bench: AgentBench;
afterEach(async () => {
  await bench.close();
  expect(bench.market.violations).toEqual([]);
});

function waitingJob(change: Partial<TaskSpec> = {}): TaskSpec {
  bench.program('wait', async (process) => {
    await process.print('stdout', 'waiting\n');
    await process.sleep(600_000);
    return 0;
  });
  return testSpec({ image: testImage, command: 'wait', ...change });
}

async function running(): Promise<FakeLease> {
  const lease = bench.market.offer(waitingJob());
  await bench.market.until('the program runs', () => lease.started !== null);
  return lease;
}

const until = async (what: string, isSo: () => boolean) => await bench.market.until(what, isSo);

test('the owner returns: the job has to go, its renter reads why and nothing more, and nothing new is taken', async () => {
  bench = await AgentBench.open({ profile: 'desktop' });
  await bench.startAgent();
  const lease = await running();
  bench.readings = { ...ownerAway, idleSeconds: known(0) };
  await until('the job is gone', () => lease.state === 'released');
  expect(lease.ended).toMatchObject({
    reason: 'provider-left',
    detail: 'The owner uses the machine again.',
  });
  expect([...bench.engine.priorities.values()]).toEqual(['yield']);
  const refused = bench.market.offer(waitingJob());
  await until('it is refused', () => refused.state === 'rejected');
  expect(refused.rejectedBecause).toBe('The owner does not take this job.');
  await until('the machine is its owner’s', () => bench.policy.status().state === 'owner');
  expect(bench.policy.status()).toMatchObject({
    reason: 'person',
    refused: [{ job_id: refused.spec.job_id, reason: 'Keyboard or mouse is in use.' }],
  });
});

test('a pause frees the machine, survives the death of the agent, and lasts until it is undone', async () => {
  bench = await AgentBench.open();
  await bench.startAgent();
  const lease = await running();
  expect(await bench.policy.pause()).toMatchObject({ reason: 'paused', accepts_work: false });
  await until('the job is gone', () => lease.state === 'released');
  expect(lease.ended).toMatchObject({ reason: 'provider-left', detail: 'The owner took the machine back.' });
  await bench.leaveAgent();
  await bench.startAgent();
  expect(bench.policy.status()).toMatchObject({ state: 'owner', reason: 'paused' });
  expect(await bench.policy.resume()).toMatchObject({ state: 'unclaimed', accepts_work: true });
  await running();
});

test('what the owner types reaches the job: a pause ends it, and resume brings work again', async () => {
  bench = await AgentBench.open();
  await bench.startAgent();
  const { controlSocket: path, root: home } = bench.home;
  const control = await startControlServer({ path, policy: bench.policy, log: silentLogger });
  let printed = '';
  const print = (text: string) => (printed += text);
  const type = async (...words: string[]) =>
    await runOwnerCommand(words, { home, out: print, err: print, examine: () => Promise.resolve([]) });
  try {
    const lease = await running();
    await until('the agent has looked', () => bench.policy.status().state === 'claimed');
    expect(await type('status')).toBe(0);
    expect(printed).toContain('A job runs.');
    expect(await type('pause', '2h')).toBe(0);
    await until('the job is gone', () => lease.state === 'released');
    expect(lease.ended).toMatchObject({
      reason: 'provider-left',
      detail: 'The owner took the machine back.',
    });
    expect(await type('resume')).toBe(0);
    await running();
  } finally {
    await control.close();
  }
});

test('after-job and drain let what runs end by itself, and take nothing new', async () => {
  bench = await AgentBench.open();
  await bench.startAgent();
  const lease = await running();
  expect(await bench.policy.pause('after-job')).toMatchObject({ state: 'claimed', reason: 'paused' });
  const refused = bench.market.offer(waitingJob());
  await until('it is refused', () => refused.state === 'rejected');
  expect(await bench.policy.drain()).toMatchObject({ state: 'drained', accepts_work: false });
  expect(lease.state).toBe('active');
});

test('a hot machine slows its job down, and lets it go on when it has cooled', async () => {
  bench = await AgentBench.open();
  await bench.startAgent();
  const lease = await running();
  const priority = () => [...bench.engine.priorities.values()].at(-1);
  bench.readings = { ...ownerAway, gpuCelsius: known(95) };
  await until('it is slowed', () => priority() === 'cool');
  bench.readings = ownerAway;
  await until('it goes on', () => priority() === 'none');
  expect(lease.state).toBe('active');
});

test('what cannot be seen is told as not known, and a desktop then takes no work', async () => {
  bench = await AgentBench.open({ profile: 'desktop' });
  bench.readings = { ...ownerAway, idleSeconds: unknown('no keyboard is found') };
  await bench.startAgent();
  await until('it has looked', () => bench.policy.status().readings.idleSeconds.includes('no keyboard'));
  expect(bench.policy.status()).toMatchObject({
    reason: 'person-unknown',
    accepts_work: false,
    readings: { idleSeconds: 'not known: no keyboard is found' },
  });
});

test('a job beyond the owner’s limits, or to which the owner’s program says no, goes elsewhere', async () => {
  bench = await AgentBench.open();
  const hook = join(bench.home.root, 'hook');
  writeFileSync(hook, `#!/bin/sh\ngrep -q '"cpus":0.25' && { echo 'too small for me'; exit 1; }\nexit 0\n`, {
    mode: 0o755,
  });
  const rules = { jobs: { images_denied: ['evil/*'], ask: [hook] } };
  writeFileSync(join(bench.home.root, 'owner.json'), JSON.stringify(rules));
  await bench.startAgent();
  const denied = bench.market.offer(waitingJob({ image: 'evil/miner' }));
  const small = bench.market.offer(waitingJob({ cpus: 0.25 }));
  await until('both are refused', () => denied.state === 'rejected' && small.state === 'rejected');
  expect(small.rejectedBecause).toBe(denied.rejectedBecause);
  const reasons = bench.policy.status().refused.map(({ reason }) => reason);
  expect(reasons.sort()).toEqual(['the owner does not run this image', 'too small for me']);
  await running();
});

test('a file that says so pauses the machine, and one that works by hand waits for a word', async () => {
  bench = await AgentBench.open({ profile: 'manual' });
  await bench.startAgent();
  expect(bench.policy.status()).toMatchObject({ reason: 'paused', accepts_work: false });
  const path = join(bench.home.root, 'owner.json');
  writeFileSync(path, JSON.stringify({ paused: false }));
  await until('it works', () => bench.policy.acceptsWork);
  const lease = await running();
  writeFileSync(path, JSON.stringify({ paused: true }));
  await until('the job is gone', () => lease.state === 'released');
  expect(lease.ended).toMatchObject({ reason: 'provider-left', detail: 'The owner took the machine back.' });
});

test('a changed file counts without a restart, and one with a mistake changes nothing and is said', async () => {
  bench = await AgentBench.open();
  await bench.startAgent();
  const path = join(bench.home.root, 'owner.json');
  writeFileSync(path, JSON.stringify({ jobs: { refuse: ['cpu'] } }));
  await until('it is read', () => bench.policy.limits.refuse_kinds.includes('cpu'));
  writeFileSync(path, JSON.stringify({ idle_secs: 3 }));
  await until('its mistake is said', () =>
    bench.policy.status().problems.some((text) => text.includes('idle_secs')),
  );
  expect(bench.policy.limits.refuse_kinds).toEqual(['cpu']);
});
