import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pause } from '@computefabric/runtime/wait';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseEngineAddress } from './container/engine-address.ts';
import { importImage, shellLayer } from './container/testing/shell-image.ts';
import { FakeOrchestrator, type FakeLease, outputOf } from './testing/fake-orchestrator.ts';
import { testSpec } from './testing/test-spec.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const docker = new Docker(parseEngineAddress(process.env.DOCKER_HOST ?? null));
const image = `computefabric/test-owner-${process.pid}:1`;
/** A name that nobody's program has. */
const game = `cf-game-${process.pid}`;
const graceSeconds = 3;
const children: ChildProcess[] = [];
let home: string;
let market: FakeOrchestrator;

beforeAll(async () => {
  execFileSync(process.execPath, ['scripts/bundle.mjs', 'provider', 'guard'], { cwd: root });
  await importImage(docker, image, await shellLayer(), ['ENV PATH=/bin']);
  market = await FakeOrchestrator.start({ leaseTtlSeconds: 30, heartbeatSeconds: 0.5 });
  home = mkdtempSync(join(tmpdir(), 'cf-owner-docker-'));
});
afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'close');
  }
  await market.goAway();
  rmSync(home, { recursive: true, force: true });
  await docker.getImage(image).remove({ force: true });
});

async function containerOf(lease: FakeLease): Promise<Docker.Container> {
  const [found] = await docker.listContainers({
    all: true,
    filters: { label: [`computefabric.lease=${lease.spec.lease_id}`] },
  });
  if (!found) throw new Error('there is no container');
  return docker.getContainer(found.Id);
}

/** Milliseconds since then until no process of it is left, which is when its GPU is free. */
async function goneAfterMs(container: Docker.Container, sinceMs: number): Promise<number> {
  for (;;) {
    const state = await container.inspect().then(
      ({ State }) => State.Running,
      () => false, // removed already
    );
    const ms = performance.now() - sinceMs;
    if (!state) return ms;
    if (ms > 40_000) throw new Error('the container is still there after 40 s');
    await pause(20);
  }
}

test('the owner’s game starts: a job without grace is gone at once, a stubborn one soon after its grace time', async () => {
  const rules = { profile: 'server', never_with: [game], vacate_grace_seconds: graceSeconds };
  writeFileSync(join(home, 'owner.json'), JSON.stringify(rules));
  const { PATH = '', HOME = '', DOCKER_HOST = '' } = process.env;
  const agent = spawn(process.execPath, ['provider/dist/main.mjs'], {
    cwd: root,
    env: {
      PATH,
      HOME,
      DOCKER_HOST,
      COMPUTEFABRIC_URL: market.url,
      PROVIDER_HOME: home,
      PROVIDER_CPUS: '2',
      PROVIDER_JOIN_TOKEN: market.joinToken,
    },
    stdio: 'ignore',
  });
  children.push(agent);
  const job = { image, cpus: 0.2, memory_mib: 32, stop_grace_seconds: 60 };
  const stubborn = 'trap "" TERM; echo up; while true; do usleep 100000; done';
  const quick = market.offer(testSpec({ ...job, command: 'echo up; sleep 600', stop_grace_seconds: 0 }));
  const slow = market.offer(testSpec({ ...job, command: stubborn }));
  await market.until('both run', () => [quick, slow].every((lease) => outputOf(lease) === 'up\n'), 60_000);
  const containers = await Promise.all([quick, slow].map(containerOf));

  const returned = performance.now();
  children.push(spawn('sleep', ['600'], { argv0: game, stdio: 'ignore' }));
  const [quickMs = NaN, slowMs = NaN] = await Promise.all(
    containers.map((container) => goneAfterMs(container, returned)),
  );
  process.stdout.write(
    `owner's return to container gone: ${Math.round(quickMs)} ms without grace, ` +
      `${Math.round(slowMs)} ms with ${graceSeconds} s of grace that the program ignores\n`,
  );
  // The figures to reach are 2 s and grace + 2 s; a loaded machine that tests run on gets some more.
  expect(quickMs).toBeLessThan(6_000);
  expect(slowMs).toBeGreaterThan(graceSeconds * 1_000 - 500);
  expect(slowMs).toBeLessThan((graceSeconds + 6) * 1_000);
  await market.until(
    'both are released',
    () => [quick, slow].every((lease) => lease.state === 'released'),
    40_000,
  );
  for (const { ended } of [quick, slow]) {
    expect(ended).toMatchObject({ reason: 'provider-left', detail: 'The owner uses the machine again.' });
  }
});
