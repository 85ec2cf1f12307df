import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type {
  ContainerDriver,
  OutputCollection,
  OutputPiece,
  OutputPosition,
  PullProgress,
  TaskExit,
  TaskSpec,
} from './container-driver.ts';
import {
  errorNumbers,
  everyByte,
  floodLines,
  longLines,
  numbers,
  programs,
  steadyLines,
} from './suite-programs.ts';

const MIB = 2 ** 20;

/** One engine to run the suite against. */
export interface SuiteEngine {
  /** A new driver on the same engine: what an agent has after a restart. */
  driver(agentId: string): ContainerDriver;
  /** A present image with a shell and no command of its own. */
  shellImage: string;
  /** A present image whose own command prints `from the image`. */
  imageWithCommand: string;
  /** An image that the registry has and the engine has not. */
  pullableImage: string;
  /** An image that the registry does not have. */
  unknownImage: string;
  /** An image whose registry takes far longer than a test. */
  endlessImage: string;
  /** An image on a registry where nobody answers. */
  unreachableImage: string;
  /** An image that the registry gives to others only. */
  deniedImage: string;
  close(): Promise<void>;
}

/** What every `ContainerDriver` promises. Run against the real engine and the fake one. */
export function driverSuite(name: string, open: () => Promise<SuiteEngine>): void {
  describe(name, () => {
    const agentId = `suite-${process.pid}-${Date.now().toString(36)}`;
    const leases = new Set<string>();
    let engine: SuiteEngine;
    let driver: ContainerDriver;
    let lastLease = 0;

    beforeAll(async () => {
      engine = await open();
      driver = engine.driver(agentId);
    });
    afterEach(async () => {
      for (const leaseId of leases) await driver.removeLease(leaseId);
      leases.clear();
    });
    afterAll(async () => {
      await engine?.close();
    });

    function specOf(change: Partial<TaskSpec> = {}): TaskSpec {
      lastLease += 1;
      const leaseId = change.leaseId ?? `lease_${lastLease}`;
      leases.add(leaseId);
      return {
        leaseId,
        jobId: `job_${lastLease}`,
        fence: 4,
        image: engine.shellImage,
        command: programs.twoStreams.command,
        env: {},
        variables: {},
        stateDirectory: null,
        cpus: 1,
        memoryBytes: 64 * MIB,
        pidsLimit: 128,
        shmBytes: 8 * MIB,
        gpuUuids: [],
        diskBytes: 0,
        network: { mode: 'none', allow: [] },
        ...change,
      };
    }

    /** Creates, attaches, starts, reads everything and waits. */
    async function runToEnd(spec: TaskSpec): Promise<{ id: string; exit: TaskExit; output: Collected }> {
      const id = await driver.createTask(spec);
      const live = await driver.attachOutput(id);
      const waiting = driver.waitTask(id);
      await driver.startTask(id);
      const output = await collect(live);
      return { id, exit: await waiting, output };
    }

    describe('the engine and its images', () => {
      test('an engine says who it is', async () => {
        const info = await driver.ping();
        expect(info.version).toMatch(/^\d+\.\d+/);
        expect(info.os).toBe('linux');
        expect(info.cpus).toBeGreaterThan(0);
        expect(info.memoryBytes).toBeGreaterThan(MIB);
      });

      test('an image is present or it is not, by name and by id', async () => {
        const image = await driver.imagePresent(engine.shellImage);
        expect(image?.id).toMatch(/^sha256:[0-9a-f]{64}$/);
        expect((await driver.imagePresent(image?.id ?? ''))?.id).toBe(image?.id);
        expect(await driver.imagePresent(engine.unknownImage)).toBeNull();
      });

      test('the names of the images that are present can be asked for, as many as one wants', async () => {
        const names = await driver.imageNames(10_000);
        expect(names).toContain(engine.shellImage);
        expect(names).not.toContain(engine.unknownImage);
        expect(new Set(names).size).toBe(names.length);
        expect(await driver.imageNames(1)).toHaveLength(1);
      });

      test('a pull tells its progress, never backwards, and gives id and digest', async () => {
        const seen: PullProgress[] = [];
        expect(await driver.imagePresent(engine.pullableImage)).toBeNull();
        const image = await driver.pullImage(engine.pullableImage, {
          deadlineSeconds: 60,
          onProgress: (progress) => seen.push(progress),
        });
        expect(image.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
        expect(await driver.imagePresent(engine.pullableImage)).toMatchObject({ id: image.id });
        expect(seen[0]).toMatchObject({ bytesDone: 0, phase: 'resolving' });
        const done = seen.map((progress) => progress.bytesDone);
        expect(done).toEqual([...done].sort((a, b) => a - b));
        const last = seen.at(-1);
        expect(last?.bytesTotal).toBeGreaterThan(0);
        expect(last?.bytesDone).toBe(last?.bytesTotal);
        expect(done.some((bytes) => bytes > 0 && bytes < (last?.bytesTotal ?? 0))).toBe(true);
      });

      test('a pull that fails says why', async () => {
        const pull = (reference: string) => driver.pullImage(reference, { deadlineSeconds: 30 });
        await expect(pull(engine.unknownImage)).rejects.toMatchObject({ code: 'image-not-found' });
        await expect(pull(engine.unreachableImage)).rejects.toMatchObject({ code: 'registry-unreachable' });
        await expect(pull(engine.deniedImage)).rejects.toMatchObject({ code: 'pull-denied' });
        await expect(pull('Not An Image')).rejects.toMatchObject({ code: 'image-reference-invalid' });
      });

      test('a pull stops at its deadline, and when its caller says so', async () => {
        const late = driver.pullImage(engine.endlessImage, { deadlineSeconds: 0.5 });
        await expect(late).rejects.toMatchObject({ code: 'pull-timeout' });

        const stop = new AbortController();
        const stopped = driver.pullImage(engine.endlessImage, {
          deadlineSeconds: 60,
          signal: stop.signal,
          onProgress: () => stop.abort(),
        });
        await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
      });

      test('an image goes by its name, and not while a task is made of it', async () => {
        const image = await driver.imagePresent(engine.pullableImage);
        expect(await driver.imageIds()).toContain(image?.id);
        expect(await driver.removeImage(engine.pullableImage)).toBe('removed');
        expect(await driver.imagePresent(engine.pullableImage)).toBeNull();
        expect(await driver.imageIds()).not.toContain(image?.id);
        expect(await driver.removeImage(engine.pullableImage)).toBe('gone');
        await driver.createTask(specOf());
        expect(await driver.removeImage(engine.shellImage)).toBe('in-use');
        expect(await driver.imagePresent(engine.shellImage)).not.toBeNull();
      });

      test('a pull that has more to fetch than it may have stops, and leaves no image', async () => {
        const options = { deadlineSeconds: 60, mostBytes: 1_000_000 };
        await expect(driver.pullImage(engine.pullableImage, options)).rejects.toMatchObject({
          code: 'image-too-large',
        });
        expect(await driver.imagePresent(engine.pullableImage)).toBeNull();
      });
    });

    describe('running a task', () => {
      test('a task gives its exit code, and its streams stay apart', async () => {
        const { exit, output } = await runToEnd(specOf());
        expect(exit).toMatchObject({ exitCode: 3, oomKilled: false, error: null });
        // The engine notes the two on its own; those of a very short program may be a little out of order.
        const ranMs = (exit.finishedAt?.getTime() ?? 0) - (exit.startedAt?.getTime() ?? 0);
        expect(Math.abs(ranMs)).toBeLessThan(60_000);
        expect(output.text('stdout')).toBe('to stdout\n');
        expect(output.text('stderr')).toBe('to stderr\n');
      });

      test('output arrives byte for byte, whatever the bytes are', async () => {
        const { output } = await runToEnd(specOf({ command: programs.everyByte.command }));
        expect(output.bytes('stdout').equals(everyByte)).toBe(true);
      });

      test('tens of megabytes arrive complete and in order', async () => {
        const { output, exit } = await runToEnd(specOf({ command: programs.flood.command }));
        expect(exit.exitCode).toBe(0);
        expect(output.text('stdout') === longLines(1, floodLines)).toBe(true);
      });

      test('a reader that stalls holds the task back and loses nothing', async () => {
        const id = await driver.createTask(specOf({ command: programs.flood.command }));
        const stalled = await driver.attachOutput(id);
        await driver.startTask(id);
        // A second task of the same kind, read at once, shows how long it takes when nobody stalls.
        await runToEnd(specOf({ command: programs.flood.command }));
        expect((await driver.inspectTask(id))?.state).toBe('running');
        const output = await collect(stalled);
        expect(output.text('stdout') === longLines(1, floodLines)).toBe(true);
        expect(await driver.waitTask(id)).toMatchObject({ exitCode: 0 });
      });

      test('a reader that goes away no longer holds the task back', async () => {
        const id = await driver.createTask(specOf({ command: programs.flood.command }));
        const live = await driver.attachOutput(id);
        await driver.startTask(id);
        live.close();
        expect(await driver.waitTask(id)).toMatchObject({ exitCode: 0 });
        expect((await collect(live)).text('stdout')).toBe('');
      });

      test('a reader that leaves its loop no longer holds the task back', async () => {
        const id = await driver.createTask(specOf({ command: programs.flood.command }));
        const live = await driver.attachOutput(id);
        await driver.startTask(id);
        for await (const _ of live) break;
        expect(await driver.waitTask(id)).toMatchObject({ exitCode: 0 });
      });

      test('the command may be a list, and the image may bring its own', async () => {
        const list = await runToEnd(specOf({ command: ['/bin/sh', '-c', programs.twoStreams.command] }));
        expect(list.exit.exitCode).toBe(3);
        const own = await runToEnd(specOf({ image: engine.imageWithCommand, command: null }));
        expect(own.output.text('stdout')).toBe('from the image\n');
      });

      test('a task knows its job, and GPUs are hidden from one that leased none', async () => {
        const spec = specOf({ command: programs.environment.command, env: { GREETING: "a b'c$d" } });
        const { output } = await runToEnd(spec);
        expect(output.text('stdout')).toBe(`a b'c$d|${spec.jobId}|${spec.leaseId}|/outputs|void\n`);
      });

      test('waiting works before the start, after the end, and gives up when asked to', async () => {
        const id = await driver.createTask(specOf());
        const stop = new AbortController();
        const given = driver.waitTask(id, { signal: stop.signal });
        const before = driver.waitTask(id);
        await driver.inspectTask(id);
        stop.abort();
        await expect(given).rejects.toMatchObject({ code: 'aborted' });
        await driver.startTask(id);
        expect(await before).toMatchObject({ exitCode: 3 });
        expect(await driver.waitTask(id)).toEqual(await before);
        expect(await engine.driver(agentId).waitTask(id)).toEqual(await before);
      });

      test('a word that is no program ends with 127', async () => {
        const { exit } = await runToEnd(specOf({ command: 'no-such-program' }));
        expect(exit.exitCode).toBe(127);
      });
    });

    describe('ending a task', () => {
      test('a killed task ends with 137, and killing it again is fine', async () => {
        const id = await startUntilReady(specOf({ command: programs.sleeper.command }));
        await driver.killTask(id);
        expect(await driver.waitTask(id)).toMatchObject({ exitCode: 137, oomKilled: false });
        await driver.killTask(id);
        await driver.stopTask(id, 1);
      });

      test('a task that listens to SIGTERM ends in its own way', async () => {
        const spec = specOf({ command: programs.graceful.command });
        const id = await driver.createTask(spec);
        const live = await driver.attachOutput(id);
        let stopping: Promise<void> | undefined;
        await driver.startTask(id);
        const output = await collect(live, () => {
          // The first output is "ready": from here on the program listens.
          stopping ??= driver.stopTask(id, 30);
        });
        await stopping;
        expect(output.text('stdout')).toBe('ready\nbye\n');
        expect(await driver.waitTask(id)).toMatchObject({ exitCode: 7 });
      });

      test('a task that does not listen ends by SIGTERM', async () => {
        const id = await startUntilReady(specOf({ command: programs.sleeper.command }));
        await driver.stopTask(id, 30);
        expect(await driver.waitTask(id)).toMatchObject({ exitCode: 143 });
      });

      test('a task that ignores SIGTERM is killed when its time is over', async () => {
        const id = await startUntilReady(specOf({ command: programs.stubborn.command }));
        const before = performance.now();
        await driver.stopTask(id, 1);
        expect(performance.now() - before).toBeGreaterThan(900);
        expect(await driver.waitTask(id)).toMatchObject({ exitCode: 137, oomKilled: false });
      });

      test('a task that takes more memory than it leased is reported so', async () => {
        const { exit } = await runToEnd(
          specOf({ command: programs.memoryEater.command, memoryBytes: 24 * MIB }),
        );
        expect(exit).toMatchObject({ exitCode: 137, oomKilled: true });
      });

      test('lack of memory shows even when a shell survives it and says all is well', async () => {
        const spec = specOf({ command: programs.memoryEaterBehindAShell.command, memoryBytes: 24 * MIB });
        expect((await runToEnd(spec)).exit).toMatchObject({ exitCode: 0, oomKilled: true });
      });

      async function startUntilReady(spec: TaskSpec): Promise<string> {
        const id = await driver.createTask(spec);
        const live = await driver.attachOutput(id);
        await driver.startTask(id);
        for await (const piece of live) if (piece.data.toString().includes('ready')) break;
        return id;
      }
    });

    describe('state that outlives a machine', () => {
      const never = new AbortController().signal;

      async function stateOf(id: string): Promise<Record<string, string>> {
        const files: Record<string, string> = {};
        await driver.readState(
          id,
          '/state',
          { maxEntries: 100, maxBytes: MIB },
          async (entry) => {
            if (entry.kind !== 'file') return;
            const parts: Uint8Array[] = [];
            for await (const part of entry.content) parts.push(part);
            files[entry.path] = Buffer.concat(parts).toString();
          },
          { frozenSeconds: 30, signal: never },
        );
        return files;
      }

      test('what is put into a task before its start is there, while it runs and after its end', async () => {
        const id = await driver.createTask(
          specOf({ command: programs.sleeper.command, stateDirectory: '/state' }),
        );
        expect(await stateOf(id)).toEqual({});
        const archive = pack();
        archive.entry({ name: 'step' }, '41');
        archive.finalize();
        await driver.writeState(id, '/state', Readable.from(archive, { objectMode: false }), {
          deadlineSeconds: 30,
          signal: never,
        });
        await driver.startTask(id);
        await driver.thawTask(id);
        expect(await stateOf(id)).toEqual({ step: '41' });
        expect((await driver.inspectTask(id))?.state).toBe('running');
        const inside = { deadlineSeconds: 20, signal: never };
        expect((await driver.runInside(id, 'no-such-command-here', inside)).exitCode).toBe(127);
        await driver.killTask(id);
        await driver.waitTask(id);
        expect(await stateOf(id)).toEqual({ step: '41' });
        await expect(driver.runInside(id, 'true', inside)).rejects.toMatchObject({
          code: 'task-not-running',
        });
      });
    });

    describe('output after a restart of the agent', () => {
      test('an adopted task loses and doubles no byte, wherever the reading was cut', async () => {
        const id = await driver.createTask(specOf({ command: programs.steady.command }));
        const live = await driver.attachOutput(id);
        await driver.startTask(id);
        const before = new Collected();
        for await (const piece of live) {
          before.take(piece);
          if (before.bytes('stdout').length > 1_000 && before.bytes('stderr').length > 1_000) break;
        }
        // The journal of a killed agent may lag behind what it had read: here by part of a line.
        const kept = {
          stdoutBytes: before.bytes('stdout').length - 3,
          stderrBytes: before.bytes('stderr').length - 7,
        };
        expect((await driver.inspectTask(id))?.state).toBe('running');

        const after = await collect(engine.driver(agentId).readOutputFrom(id, kept));
        expect(before.bytes('stdout').subarray(0, kept.stdoutBytes).toString() + after.text('stdout')).toBe(
          numbers(1, steadyLines),
        );
        expect(before.bytes('stderr').subarray(0, kept.stderrBytes).toString() + after.text('stderr')).toBe(
          errorNumbers(steadyLines),
        );
        expect(after.gaps).toBe(0);
        expect((await driver.inspectTask(id))?.state).toBe('exited');
      });

      test('the output of a task that ended meanwhile is there from any place on', async () => {
        const { id, output } = await runToEnd(specOf({ command: programs.everyByte.command }));
        const size = output.bytes('stdout').length;
        for (const stdoutBytes of [0, 1, 255, 16_384, 20_001, size - 1, size]) {
          const position: OutputPosition = { stdoutBytes, stderrBytes: 0 };
          const rest = await collect(engine.driver(agentId).readOutputFrom(id, position));
          expect(rest.bytes('stdout').equals(everyByte.subarray(stdoutBytes))).toBe(true);
        }
      });

      test('reading on can be stopped', async () => {
        const id = await driver.createTask(specOf({ command: programs.sleeper.command }));
        await driver.startTask(id);
        const stop = new AbortController();
        const position = { stdoutBytes: 0, stderrBytes: 0 };
        const reading = collect(driver.readOutputFrom(id, position, { signal: stop.signal }), () =>
          stop.abort(),
        );
        await expect(reading).rejects.toMatchObject({ code: 'aborted' });
      });
    });

    describe('results', () => {
      const roomy = { maxFiles: 100, maxBytes: MIB };

      test('regular files come back, everything else is left and named', async () => {
        const { id } = await runToEnd(specOf({ command: programs.results.command }));
        const { files, collection } = await collectFiles(driver, id, roomy);
        expect(files).toEqual({ 'a.txt': 'one\n', 'deep/er/b.bin': 'two\n', empty: '' });
        expect(collection).toMatchObject({ files: 3, bytes: 8, skippedCount: 7, truncated: false });
        expect(collection.skipped.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
          { path: 'C:drive', reason: 'unsafe-name' },
          { path: 'back\\\\slash', reason: 'unsafe-name' },
          { path: 'line\\nbreak', reason: 'unsafe-name' },
          { path: 'pipe', reason: 'fifo' },
          { path: 'root', reason: 'symlink' },
          { path: 'second-name', reason: 'hard-link' },
          { path: 'stolen.txt', reason: 'symlink' },
        ]);
      });

      test('the limits on files and bytes hold, and what they left out is counted', async () => {
        const { id } = await runToEnd(specOf({ command: programs.tenFiles.command }));
        const few = await collectFiles(driver, id, { maxFiles: 4, maxBytes: MIB });
        expect(few.collection).toMatchObject({ files: 4, bytes: 32, skippedCount: 6, truncated: false });
        const small = await collectFiles(driver, id, { maxFiles: 100, maxBytes: 60 });
        expect(small.collection).toMatchObject({ files: 7, bytes: 56, skippedCount: 3, truncated: false });
        expect(small.collection.skipped[0]?.reason).toBe('too-many-bytes');
      });

      test('a receiver that fails stops the collection with its own error', async () => {
        const { id } = await runToEnd(specOf({ command: programs.tenFiles.command }));
        const failing = driver.collectOutputs(id, roomy, async () => {
          throw new Error('disk of the agent is full');
        });
        await expect(failing).rejects.toThrow('disk of the agent is full');
      });

      test('a receiver may leave a file unread', async () => {
        const { id } = await runToEnd(specOf({ command: programs.tenFiles.command }));
        expect(await driver.collectOutputs(id, roomy, async () => undefined)).toMatchObject({ files: 10 });
      });

      test('no results are no error, and a running task has none yet', async () => {
        const { id } = await runToEnd(specOf());
        expect((await collectFiles(driver, id, roomy)).collection).toMatchObject({
          files: 0,
          skippedCount: 0,
        });
        const running = await driver.createTask(specOf({ command: programs.sleeper.command }));
        await driver.startTask(running);
        await expect(collectFiles(driver, running, roomy)).rejects.toMatchObject({ code: 'task-running' });
      });
    });

    describe('what belongs to whom', () => {
      test('a task is listed with its lease and fence, and gone after removal', async () => {
        const spec = specOf({ command: programs.sleeper.command });
        const id = await driver.createTask(spec);
        const { leaseId, jobId } = spec;
        expect(await ofLease(leaseId)).toEqual([
          expect.objectContaining({ id, leaseId, jobId, fence: 4, state: 'created' }),
        ]);
        await driver.startTask(id);
        expect(await driver.inspectTask(id)).toEqual({
          containerId: id,
          leaseId,
          jobId,
          fence: 4,
          state: 'running',
          exit: null,
        });
        await driver.removeLease(leaseId);
        expect(await ofLease(leaseId)).toEqual([]);
        expect(await driver.inspectTask(id)).toBeNull();
        await driver.removeLease(leaseId);
      });

      test('removing a task that nobody reads any more does not hang', async () => {
        const spec = specOf({ command: programs.flood.command });
        const id = await driver.createTask(spec);
        await driver.attachOutput(id);
        await driver.startTask(id);
        await driver.removeLease(spec.leaseId);
        expect(await driver.inspectTask(id)).toBeNull();
      });

      test('another agent on the same engine neither sees nor removes it', async () => {
        const spec = specOf();
        const id = await driver.createTask(spec);
        const stranger = engine.driver(`${agentId}-other`);
        expect(await stranger.listOwned()).toEqual([]);
        await stranger.removeLease(spec.leaseId);
        expect((await driver.inspectTask(id))?.state).toBe('created');
      });

      test('a lease has one container', async () => {
        const spec = specOf();
        await driver.createTask(spec);
        await expect(driver.createTask(spec)).rejects.toMatchObject({ code: 'task-exists' });
        expect(await ofLease(spec.leaseId)).toHaveLength(1);
      });

      test('a task that cannot be is refused by name, and leaves nothing', async () => {
        const refused: [Partial<TaskSpec>, string][] = [
          [{ image: engine.unknownImage }, 'image-not-found'],
          [{ command: null }, 'command-missing'],
          [{ env: { NVIDIA_VISIBLE_DEVICES: 'all' } }, 'variable-reserved'],
          [{ memoryBytes: 1 }, 'task-spec-invalid'],
          [{ gpuUuids: ['all'] }, 'task-spec-invalid'],
        ];
        for (const [change, code] of refused) {
          const spec = specOf(change);
          await expect(driver.createTask(spec), code).rejects.toMatchObject({ code });
          expect(await ofLease(spec.leaseId)).toEqual([]);
        }
      });

      test('a container that is not there is said so', async () => {
        const nobody = '0'.repeat(64);
        const missing = { code: 'task-not-found' };
        expect(await driver.inspectTask(nobody)).toBeNull();
        await expect(driver.startTask(nobody)).rejects.toMatchObject(missing);
        await expect(driver.attachOutput(nobody)).rejects.toMatchObject(missing);
        await expect(driver.waitTask(nobody)).rejects.toMatchObject(missing);
        await expect(driver.killTask(nobody)).rejects.toMatchObject(missing);
        await expect(driver.stopTask(nobody, 1)).rejects.toMatchObject(missing);
        await expect(
          driver.collectOutputs(nobody, { maxFiles: 1, maxBytes: 1 }, async () => undefined),
        ).rejects.toMatchObject(missing);
        await expect(
          collect(driver.readOutputFrom(nobody, { stdoutBytes: 0, stderrBytes: 0 })),
        ).rejects.toMatchObject(missing);
        await driver.removeLease('lease_of_nobody');
      });

      async function ofLease(leaseId: string) {
        return (await driver.listOwned()).filter((resource) => resource.leaseId === leaseId);
      }
    });
  });
}

/** Output as it was received. */
class Collected {
  gaps = 0;
  readonly #parts: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };

  take(piece: OutputPiece): void {
    if (piece.kind === 'gap') this.gaps += 1;
    else this.#parts[piece.stream].push(piece.data);
  }

  bytes(stream: 'stdout' | 'stderr'): Buffer {
    return Buffer.concat(this.#parts[stream]);
  }

  text(stream: 'stdout' | 'stderr'): string {
    return this.bytes(stream).toString('latin1');
  }
}

export async function collect(output: AsyncIterable<OutputPiece>, onPiece?: () => void): Promise<Collected> {
  const collected = new Collected();
  for await (const piece of output) {
    collected.take(piece);
    onPiece?.();
  }
  return collected;
}

async function collectFiles(
  driver: ContainerDriver,
  containerId: string,
  limits: { maxFiles: number; maxBytes: number },
): Promise<{ files: Record<string, string>; collection: OutputCollection }> {
  const files: Record<string, string> = {};
  const collection = await driver.collectOutputs(containerId, limits, async (path, sizeBytes, content) => {
    const bytes = await buffer(content);
    expect(bytes.length).toBe(sizeBytes);
    files[path] = bytes.toString();
  });
  return { files, collection };
}
