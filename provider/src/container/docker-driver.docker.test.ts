import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pause } from '@computefabric/runtime/wait';
import Docker from 'dockerode';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TaskExit, TaskSpec } from './container-driver.ts';
import { DockerDriver } from './docker-driver.ts';
import { collect, driverSuite, type SuiteEngine } from './driver-suite.ts';
import { parseEngineAddress } from './engine-address.ts';
import { numbers, programs } from './suite-programs.ts';
import { type LocalRegistry, startLocalRegistry } from './testing/local-registry.ts';
import { startMeddlingEngine } from './testing/meddling-engine.ts';
import { importImage, layerOf, shellLayer, weightLayer } from './testing/shell-image.ts';

const MIB = 2 ** 20;
const address = parseEngineAddress(process.env.DOCKER_HOST ?? null);
const client = new Docker(address);
const run = `${process.pid}-${Date.now().toString(36)}`;
const agentId = `docker-test-${run}`;
const shellImage = `computefabric/test-shell-${run}:1`;
const imageWithCommand = `computefabric/test-speaking-${run}:1`;
const images = new Set([shellImage, imageWithCommand]);

let registry: LocalRegistry;
let layer: Buffer;

beforeAll(async () => {
  layer = await shellLayer();
  await importImage(client, shellImage, layer, ['ENV PATH=/bin']);
  await importImage(client, imageWithCommand, layer, ['ENV PATH=/bin', 'CMD ["echo", "from the image"]']);
  registry = await startLocalRegistry();
});

afterAll(async () => {
  await registry?.close();
  for (const image of images) await client.getImage(image).remove({ force: true }).catch(ignoreMissing);
});

/** An image of the test's own, removed at the end. */
async function imageOf(changes: string[], extra: Record<string, string> = {}): Promise<string> {
  const name = `computefabric/test-${run}-${images.size}:1`;
  images.add(name);
  await importImage(client, name, await shellLayer(extra), changes);
  return name;
}

driverSuite('the Docker driver', async (): Promise<SuiteEngine> => {
  const pullable = `pullable-${run}:1`;
  registry.add(pullable, [await weightLayer(2 * MIB), await weightLayer(MIB)], { bytesPerSecond: 4 * MIB });
  registry.add('endless:1', [await weightLayer(4 * MIB)], { bytesPerSecond: 20_000 });
  registry.denied.add('denied');
  images.add(`${registry.host}/${pullable}`);
  return {
    driver: (agent) => new DockerDriver({ address, agentId: agent }),
    shellImage,
    imageWithCommand,
    pullableImage: `${registry.host}/${pullable}`,
    unknownImage: `${registry.host}/unknown:1`,
    endlessImage: `${registry.host}/endless:1`,
    // Port 9 is "discard": nobody listens there.
    unreachableImage: '127.0.0.1:9/image:1',
    deniedImage: `${registry.host}/denied:1`,
    close: async () => undefined,
  };
});

describe('what a task gets from the Docker engine', () => {
  const driver = new DockerDriver({ address, agentId });
  const leases = new Set<string>();
  let lastLease = 0;

  afterEach(async () => {
    for (const leaseId of leases) await driver.removeLease(leaseId);
    leases.clear();
  });

  function specOf(change: Partial<TaskSpec> = {}): TaskSpec {
    lastLease += 1;
    leases.add(`lease_d${lastLease}`);
    return {
      leaseId: `lease_d${lastLease}`,
      jobId: 'job_d',
      fence: 1,
      image: shellImage,
      command: 'true',
      env: {},
      variables: {},
      stateDirectory: null,
      cpus: 0.5,
      memoryBytes: 64 * MIB,
      pidsLimit: 128,
      shmBytes: 4 * MIB,
      gpuUuids: [],
      diskBytes: 0,
      network: { mode: 'none', allow: [] },
      ...change,
    };
  }

  async function outputOf(
    spec: TaskSpec,
    with_ = driver,
  ): Promise<{ id: string; out: string; exit: TaskExit }> {
    const id = await with_.createTask(spec);
    const live = await with_.attachOutput(id);
    await with_.startTask(id);
    const output = await collect(live);
    return { id, out: output.text('stdout') + output.text('stderr'), exit: await with_.waitTask(id) };
  }

  test('seen from inside: no capability, no new privileges, seccomp, no engine socket, only the loopback', async () => {
    const { out } = await outputOf(
      specOf({
        command: [
          'grep -E "^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):" /proc/self/status',
          'echo net: $(ls /sys/class/net)',
          'echo sockets: $(ls /var/run/docker.sock /run/docker.sock 2>/dev/null)',
          'echo host: $(hostname)',
          'echo blocks: $(find /dev -type b)',
          'echo core: $(ulimit -c) files: $(ulimit -n)',
          'echo writable: $(touch /outputs/x && echo yes)',
          'mount -t tmpfs none /tmp 2>/dev/null || echo mount refused',
          'chown 1 /tmp 2>/dev/null || echo chown refused',
        ].join('; '),
      }),
    );
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(out).toMatch(new RegExp(`^${set}:\\s+0000000000000000$`, 'm'));
    }
    expect(out).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(out).toMatch(/^Seccomp:\s+2$/m);
    expect(out).toMatch(/^net: lo$/m);
    expect(out).toMatch(/^sockets:$/m);
    expect(out).toMatch(/^host: job$/m);
    expect(out).toMatch(/^blocks:$/m);
    expect(out).toMatch(/^core: 0 files: 8192$/m);
    expect(out).toMatch(/^writable: yes$/m);
    expect(out).toMatch(/^mount refused$/m);
    expect(out).toMatch(/^chown refused$/m);
  });

  test('nothing of the host is mounted but the three files that the engine makes for the network', async () => {
    const { out } = await outputOf(specOf({ command: 'cat /proc/mounts' }));
    const disks = out
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, , type = '']) => !/^(proc|sysfs|tmpfs|devpts|mqueue|cgroup2?|overlay|)$/.test(type))
      .map(([, where = '']) => where);
    expect(disks.sort()).toEqual(['/etc/hostname', '/etc/hosts', '/etc/resolv.conf', '/sbin/docker-init']);
  });

  test('limits hold: processes, memory file system, shared memory', async () => {
    const { out } = await outputOf(
      specOf({
        pidsLimit: 32,
        command:
          'df -k /dev/shm | tail -1; dd if=/dev/zero of=/dev/shm/x bs=1M count=16 2>&1 | tail -1; for i in $(seq 100); do sleep 1 & done; echo never',
      }),
    );
    expect(out).toMatch(/\b4096\b/);
    expect(out).toMatch(/^4\+0 records out$/m);
    expect(out).toMatch(/can't fork/);
  });

  test('whatever the numbers are, the engine applied the template', async () => {
    const numbersOfSpec = fc.record({
      cpus: fc.integer({ min: 1, max: 100 }).map((n) => n / 100),
      memoryBytes: fc.integer({ min: 16 * MIB, max: 512 * MIB }),
      pidsLimit: fc.integer({ min: 16, max: 4096 }),
    });
    // createTask compares every setting itself and throws when one differs.
    for (const change of fc.sample(numbersOfSpec, { numRuns: 12, seed: 7 })) {
      const id = await driver.createTask(specOf(change));
      const { HostConfig } = await client.getContainer(id).inspect();
      expect(HostConfig).toMatchObject({
        Privileged: false,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        Memory: change.memoryBytes,
        MemorySwap: change.memoryBytes,
        NanoCpus: Math.round(change.cpus * 1e9),
        PidsLimit: change.pidsLimit,
        OomScoreAdj: 500,
        RestartPolicy: { Name: 'no' },
        IpcMode: 'private',
        LogConfig: { Type: 'local' },
      });
      expect(HostConfig.Binds ?? []).toEqual([]);
      expect(HostConfig.Devices ?? []).toEqual([]);
    }
  });

  test('an engine that does not apply a setting gets no task to run', async () => {
    if (!('socketPath' in address)) throw new Error('this test needs the engine on a socket');
    const meddling = await startMeddlingEngine(address.socketPath, (settings) => {
      settings.MemorySwap = -1;
    });
    try {
      const spec = specOf();
      const creating = new DockerDriver({ address: meddling.address, agentId }).createTask(spec);
      await expect(creating).rejects.toMatchObject({
        code: 'template-mismatch',
        message: expect.stringContaining('MemorySwap'),
      });
      expect(await driver.listOwned()).toEqual([]);
    } finally {
      await meddling.close();
    }
  });

  test('a GPU that the engine cannot pass in is told apart from other failures', async () => {
    const id = await driver.createTask(specOf({ gpuUuids: ['GPU-00000000-0000-0000-0000-000000000000'] }));
    const { Config, HostConfig } = await client.getContainer(id).inspect();
    expect(HostConfig.DeviceRequests?.[0]?.DeviceIDs).toEqual(['GPU-00000000-0000-0000-0000-000000000000']);
    expect(Config.Env).toContain('NVIDIA_VISIBLE_DEVICES=GPU-00000000-0000-0000-0000-000000000000');
    await expect(driver.startTask(id)).rejects.toMatchObject({ code: 'gpu-unavailable' });
  });

  describe('images that try something', () => {
    test('a volume of the image is memory with a limit, and nothing is left of it', async () => {
      const before = await volumeNames();
      const image = await imageOf(['ENV PATH=/bin', 'VOLUME /data', 'VOLUME /deep/er']);
      const spec = specOf({
        image,
        memoryBytes: 64 * MIB,
        command:
          'grep -c " /data tmpfs" /proc/mounts; dd if=/dev/zero of=/data/x bs=1M count=48 2>&1; ls -l /data/x',
      });
      const { id, out } = await outputOf(spec);
      expect(out).toMatch(/^1$/m);
      expect(out).toMatch(/No space left on device/);
      expect((await client.getContainer(id).inspect()).Mounts).toEqual([]);
      await driver.removeLease(spec.leaseId);
      expect(await volumeNames()).toEqual(before);
    });

    test('a user of the image can write to its volumes and to /outputs', async () => {
      const image = await imageOf(['ENV PATH=/bin', 'VOLUME /data', 'USER 1234:1234']);
      const { out, exit } = await outputOf(
        specOf({ image, command: 'id -u; echo a > /data/a && echo b > /outputs/b && echo wrote' }),
      );
      expect(out).toBe('1234\nwrote\n');
      expect(exit.exitCode).toBe(0);
    });

    test('a volume where results or the system live is refused', async () => {
      for (const volume of ['/outputs', '/outputs/deep', '/proc/x', '/']) {
        const image = await imageOf([`VOLUME ${volume}`]);
        await expect(driver.createTask(specOf({ image }))).rejects.toMatchObject({ code: 'image-refused' });
      }
      expect(await driver.listOwned()).toEqual([]);
    });

    test('variables of the loader and of the GPU runtime do not get through', async () => {
      const image = await imageOf([
        'ENV PATH=/bin LD_PRELOAD=/evil.so LD_LIBRARY_PATH=.:/usr/lib: NVIDIA_VISIBLE_DEVICES=all',
        'ENV NVIDIA_DRIVER_CAPABILITIES=all NVIDIA_MIG_CONFIG_DEVICES=all NVIDIA_REQUIRE_CUDA=cuda>=12.0',
      ]);
      const { out } = await outputOf(specOf({ image, command: 'env | grep -E "^(LD|NVIDIA)_" | sort' }));
      expect(out.trim().split('\n')).toEqual([
        'LD_LIBRARY_PATH=/usr/lib',
        'LD_PRELOAD=',
        'NVIDIA_DRIVER_CAPABILITIES=',
        'NVIDIA_MIG_CONFIG_DEVICES=',
        'NVIDIA_REQUIRE_CUDA=cuda>=12.0',
        'NVIDIA_VISIBLE_DEVICES=void',
      ]);
    });

    test('health checks, stop signals and labels of an image do not count', async () => {
      registry.add(`bossy-${run}:1`, [layer], {
        config: {
          Env: ['PATH=/bin'],
          StopSignal: 'SIGCONT',
          Healthcheck: { Test: ['CMD', 'touch', '/outputs/checked'], Interval: 1e9 },
          Labels: { 'computefabric.lease': 'lease_of_another', 'computefabric.fence': '99' },
        },
      });
      const { id: image } = await driver.pullImage(`${registry.host}/bossy-${run}:1`, {
        deadlineSeconds: 60,
      });
      images.add(image);
      const spec = specOf({ image, command: programs.graceful.command });
      const id = await driver.createTask(spec);
      const live = await driver.attachOutput(id);
      await driver.startTask(id);
      for await (const _ of live) break;
      await driver.stopTask(id, 30);
      expect(await driver.waitTask(id)).toMatchObject({ exitCode: 7 });
      expect(await driver.inspectTask(id)).toMatchObject({ leaseId: spec.leaseId, fence: 1 });
      expect((await client.getContainer(id).inspect()).State.Health ?? null).toBeNull();
    });

    test('an image without the program says so', async () => {
      const { exit } = await outputOf(specOf({ command: ['/no/such/program'] }));
      expect(exit.exitCode).toBe(127);
      await importImage(client, `computefabric/test-empty-${run}:1`, await weightLayer(100));
      images.add(`computefabric/test-empty-${run}:1`);
      const noShell = specOf({ image: `computefabric/test-empty-${run}:1`, command: 'echo hi' });
      expect((await outputOf(noShell)).exit.exitCode).toBe(127);
    });

    test('what was pulled is what runs, even when the tag has moved since', async () => {
      const tag = `moving-${run}:1`;
      const reference = `${registry.host}/${tag}`;
      registry.add(tag, [layer, await layerOf('said', 'first')]);
      const first = await driver.pullImage(reference, { deadlineSeconds: 60 });
      registry.add(tag, [layer, await layerOf('said', 'second')]);
      const second = await driver.pullImage(reference, { deadlineSeconds: 60 });
      images.add(first.id).add(second.id);
      expect(second.digest).not.toBe(first.digest);
      expect((await outputOf(specOf({ image: first.id, command: 'cat /said' }))).out).toBe('first');
      expect((await outputOf(specOf({ image: second.id, command: 'cat /said' }))).out).toBe('second');
      const pinned = await driver.pullImage(`${reference.split(':1')[0]}@${first.digest}`, {
        deadlineSeconds: 60,
      });
      expect(pinned).toEqual(first);
    });

    test('an image for another processor is told apart', async () => {
      const other = process.arch === 'arm64' ? 'amd64' : 'arm64';
      registry.add(`foreign-${run}:1`, [await weightLayer(100)], { architecture: other });
      const reference = `${registry.host}/foreign-${run}:1`;
      images.add(reference);
      // Engines differ: some refuse the pull, some only warn; then the program does not start.
      const pulled = await driver
        .pullImage(reference, { deadlineSeconds: 60 })
        .catch((error: unknown) => error);
      if (pulled instanceof Error) expect(pulled).toMatchObject({ code: 'image-wrong-platform' });
    });
  });

  describe('output through the engine’s own log', () => {
    test('lines longer than the engine’s 16 KiB come back byte for byte', async () => {
      const zeros = (bytes: number) => `dd if=/dev/zero bs=${bytes} count=1 2>/dev/null`;
      const followed = [16_383, 16_384, 16_385, 32_768, 50_000].flatMap((bytes) => [
        `${zeros(bytes)}; echo; echo next`,
        `${zeros(bytes)}; echo more; echo next`,
        `${zeros(bytes)}; sleep 0.1; echo; printf '\\n\\n'`,
        `${zeros(bytes)} >&2; echo between; echo >&2; printf 'a\\rb\\r\\r\\n  lead\\n trail \\n'`,
      ]);
      const commands = [
        [...followed, 'echo end', 'printf last >&2'].join('; '),
        zeros(16_384),
        zeros(50_000),
        `printf '\\n\\n\\n'`,
      ];
      for (const command of commands) {
        const id = await driver.createTask(specOf({ command }));
        const live = await driver.attachOutput(id);
        await driver.startTask(id);
        const seen = await collect(live);
        const kept = await collect(driver.readOutputFrom(id, { stdoutBytes: 0, stderrBytes: 0 }));
        for (const stream of ['stdout', 'stderr'] as const) {
          expect(kept.bytes(stream).equals(seen.bytes(stream)), `${stream} of ${command}`).toBe(true);
        }
      }
    });

    test('a log that has lost its beginning gives a gap, not a wrong place', async () => {
      const small = new DockerDriver({ address, agentId, engineLogFileBytes: 200_000 });
      const ended = await outputOf(specOf({ command: 'seq 1 100000' }), small);
      const fromStart = await collect(small.readOutputFrom(ended.id, { stdoutBytes: 0, stderrBytes: 0 }));
      expect(fromStart.gaps).toBe(1);
      expect(fromStart.text('stdout')).toBe('');

      // What a running task prints from here on is delivered, after the gap.
      const id = await small.createTask(
        specOf({
          command: 'seq 1 100000; while [ ! -e /outputs/go ]; do echo on; sleep 0.05; done; echo end',
        }),
      );
      await small.startTask(id);
      await until(async () => (await firstLogLine(id)) !== '1');
      const pieces: string[] = [];
      let letGo: Promise<void> | undefined;
      for await (const piece of small.readOutputFrom(id, { stdoutBytes: 5, stderrBytes: 0 })) {
        pieces.push(piece.kind === 'gap' ? '<gap>' : piece.data.toString());
        if (piece.kind === 'bytes') letGo ??= putFile(id, 'go');
      }
      await letGo;
      expect(pieces[0]).toBe('<gap>');
      expect(pieces.join('')).toMatch(/^<gap>(\d+\n)*(on\n)+end\n$/);
    });

    test('a log that grows too long while it is followed goes on live, behind a gap', async () => {
      const small = new DockerDriver({ address, agentId, engineLogFileBytes: 200_000 });
      const id = await small.createTask(
        specOf({
          command: 'echo begin; while [ ! -e /outputs/go ]; do sleep 0.05; done; seq 1 20000; echo end',
        }),
      );
      await small.startTask(id);
      let letGo: Promise<unknown> | undefined;
      const output = await collect(small.readOutputFrom(id, { stdoutBytes: 0, stderrBytes: 0 }), () => {
        letGo ??= putFile(id, 'go');
      });
      await letGo;
      expect(output.gaps).toBe(1);
      expect(output.text('stdout').startsWith(`begin\n${numbers(1, 1_000)}`)).toBe(true);
    });
  });

  describe('results of a hostile task', () => {
    const limits = { maxFiles: 1_000, maxBytes: MIB };
    const none = async () => undefined;

    test('a directory that was exchanged for a link leads nowhere', async () => {
      const { id } = await outputOf(specOf({ command: 'rm -r /outputs; ln -s /etc /outputs' }));
      const collection = await driver.collectOutputs(id, limits, none);
      expect(collection).toMatchObject({ files: 0, skipped: [{ path: 'outputs', reason: 'symlink' }] });
      const gone = await outputOf(specOf({ command: 'rm -r /outputs' }));
      expect(await driver.collectOutputs(gone.id, limits, none)).toMatchObject({ files: 0, skippedCount: 0 });
    });

    test('a file that claims a terabyte costs neither time nor memory', async () => {
      const { id } = await outputOf(
        specOf({ command: 'cd /outputs; echo ok > a; truncate -s 1099511627776 b; echo ok > c' }),
      );
      const before = performance.now();
      const collection = await driver.collectOutputs(id, limits, none);
      expect(collection.truncated).toBe(true);
      expect(collection.skipped).toContainEqual({ path: 'b', reason: 'too-many-bytes' });
      expect(performance.now() - before).toBeLessThan(10_000);
    });
  });

  const hasRegistry = spawnSync('docker-registry', ['--version']).status === 0;
  test.skipIf(!hasRegistry)('the registry of the Debian package works on the loopback', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'computefabric-registry-'));
    const port = 20_000 + (process.pid % 10_000);
    await writeFile(
      join(folder, 'config.yml'),
      `version: 0.1\nstorage: { filesystem: { rootdirectory: ${folder}/data } }\nhttp: { addr: 127.0.0.1:${port} }\n`,
    );
    const server = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
    const reference = `127.0.0.1:${port}/team/shell-${run}:v1`;
    try {
      await until(async () => (await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => null))?.ok === true);
      await client.getImage(shellImage).tag({ repo: reference.slice(0, -3), tag: 'v1' });
      const pushed = await client.getImage(reference).push({ authconfig: { username: '', password: '' } });
      expect(await text(Readable.from(pushed))).not.toContain('"error"');
      const source = await driver.imagePresent(shellImage);
      await client.getImage(reference).remove();
      const image = await driver.pullImage(reference, { deadlineSeconds: 60 });
      images.add(reference);
      expect(image.id).toBe(source?.id);
      expect(image.digest).toMatch(/^sha256:/);
      expect((await outputOf(specOf({ image: image.id, command: 'echo pulled' }))).out).toBe('pulled\n');
      await expect(
        driver.pullImage(`127.0.0.1:${port}/team/nothing:v1`, { deadlineSeconds: 60 }),
      ).rejects.toMatchObject({ code: 'image-not-found' });
    } finally {
      server.kill();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

async function volumeNames(): Promise<string[]> {
  const { Volumes } = await client.listVolumes();
  return (Volumes ?? []).map(({ Name }) => Name).sort();
}

async function putFile(containerId: string, name: string): Promise<void> {
  await client.getContainer(containerId).putArchive(await layerOf(name, ''), { path: '/outputs' });
}

/** What the engine's log still begins with: its first frame, after the header of eight bytes. */
async function firstLogLine(containerId: string): Promise<string | undefined> {
  const log = await client.getContainer(containerId).logs({ stdout: true, stderr: true, follow: false });
  return log.toString('latin1', 8).split('\n')[0];
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('the condition did not come true within 20 s');
    await pause(50);
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Error && 'statusCode' in error && error.statusCode === 404)) throw error;
}
