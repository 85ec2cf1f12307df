import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DockerDriver } from '../../provider/src/container/docker-driver.ts';
import { parseEngineAddress } from '../../provider/src/container/engine-address.ts';
import { importImage, shellLayer } from '../../provider/src/container/testing/shell-image.ts';
import { testTaskSpec } from '../../provider/src/container/testing/task-spec.ts';
import { findProgram } from '../../scripts/lib/find-program.mjs';
import { canStartEngines, OwnEngine } from '../journeys/own-engine.ts';
import { runMark } from './attack-bench.ts';

const runsc = findProgram('runsc');
const image = 'computefabric/test-gvisor:1';

function driverOf(engine: OwnEngine, agent: string): DockerDriver {
  return new DockerDriver({
    address: parseEngineAddress(engine.host),
    agentId: `gvisor-${runMark}-${agent}`,
    sandbox: 'gvisor',
  });
}

describe.skipIf(!canStartEngines)('where gVisor is not what it is said to be', () => {
  let engine: OwnEngine;
  let folder = '';

  beforeAll(async () => {
    // Its name and its settings, and the usual runtime behind them.
    folder = await mkdtemp(join(tmpdir(), 'cf-impostor-'));
    const path = join(folder, 'runsc');
    await writeFile(path, '#!/bin/sh\nshift\nexec runc "$@"\n', { mode: 0o755 });
    const impostor = { path, runtimeArgs: ['--network=host'] };
    engine = new OwnEngine({ keepsContainers: false, settings: { runtimes: { runsc: impostor } } });
    await engine.start();
  });

  afterAll(async () => {
    await engine?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('no job runs, and the owner hears why', async () => {
    const driver = driverOf(engine, 'impostor');
    const client = new Docker(parseEngineAddress(engine.host));
    await importImage(client, image, await shellLayer(), ['ENV PATH=/bin']);
    await expect(driver.protections()).rejects.toThrow(/not gVisor/);
    await expect(driver.createTask(testTaskSpec({ image, command: 'true' }))).rejects.toThrow(/gVisor/);
    expect(await driver.listOwned()).toEqual([]);
    await driver.close();
  });
});

// `apt-get install runsc` on Debian.
describe.skipIf(!canStartEngines || runsc === undefined)('in gVisor', () => {
  let engine: OwnEngine;
  let driver: DockerDriver;

  beforeAll(async () => {
    const runtime = { path: runsc, runtimeArgs: ['--platform=ptrace', '--network=host'] };
    engine = new OwnEngine({ keepsContainers: false, settings: { runtimes: { runsc: runtime } } });
    await engine.start();
    driver = driverOf(engine, 'real');
    await importImage(new Docker(parseEngineAddress(engine.host)), image, await shellLayer(), [
      'ENV PATH=/bin',
    ]);
  });

  afterAll(async () => {
    await driver?.close();
    await engine?.close();
  });

  test('it is proven by a trial, and a job sees its kernel and not the machine’s', async () => {
    expect((await driver.protections()).sandbox).toEqual({ kind: 'gvisor', passesGpus: false });
    const id = await driver.createTask(
      testTaskSpec({
        image,
        command: 'uname -r; for n in 1 2 3; do echo $n; done; echo done > /outputs/x',
        pidsLimit: 512,
      }),
    );
    const output = await driver.attachOutput(id);
    await driver.startTask(id);
    let out = '';
    for await (const { data } of output) out += data.toString();
    expect(out).toMatch(/\n1\n2\n3\n$/);
    expect(out).not.toContain(release());
    expect((await driver.waitTask(id)).exitCode).toBe(0);
    await driver.removeLease('lease_1');
  });
});
