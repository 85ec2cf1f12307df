import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { pause } from '@computefabric/runtime/wait';
import { z } from 'zod';
import type { InsideResult, StateLimits, StateSink, StateSummary } from './container-driver.ts';
import { ContainerError, isContainerError, notFound } from './container-error.ts';
import type { DockerEngine } from './docker-engine.ts';
import { FrameReader } from './docker-frames.ts';
import { readStateArchive } from './state-archive.ts';

const FREEZE_SECONDS = 15;
const EXEC_SECONDS = 30;
/** What a command inside says is shown to the renter when it fails; more than this of it is thrown away. */
const keptOutputBytes = 2_048;
const lookAgainMs = 100;

/** See `ContainerDriver.readState`. */
export async function readState(
  engine: DockerEngine,
  containerId: string,
  directory: string,
  limits: StateLimits,
  sink: StateSink,
  { frozenSeconds, signal }: { frozenSeconds: number; signal: AbortSignal },
): Promise<StateSummary> {
  const frozen = await freeze(engine, containerId);
  const deadline = AbortSignal.timeout(frozenSeconds * 1_000);
  const stop = AbortSignal.any([signal, deadline]);
  try {
    const archive = await openState(engine, containerId, directory, stop);
    stop.addEventListener('abort', () => archive.destroy(new Error('stopped')), { once: true });
    return await readStateArchive(archive, limits, sink);
  } catch (error) {
    if (signal.aborted) throw new ContainerError('aborted', 'reading the state: stopped', { cause: error });
    if (deadline.aborted) {
      const message = `the state could not be read within ${frozenSeconds} s`;
      throw new ContainerError('state-unreadable', message, { cause: error });
    }
    throw error;
  } finally {
    if (frozen) await thaw(engine, containerId);
  }
}

/** Stops every process of a running task where it stands; false when there is nothing that runs. */
async function freeze(engine: DockerEngine, containerId: string): Promise<boolean> {
  try {
    await engine.call('freezing the task', FREEZE_SECONDS, (client, signal) =>
      client.getContainer(containerId).pause({ abortSignal: signal }),
    );
    return true;
  } catch (error) {
    if (!isContainerError(error, 'engine-refused')) throw error;
    if (error.statusCode === 404) throw notFound(error);
    if (/already paused/i.test(error.message)) return true;
    return false; // it has ended: what it left does not change any more
  }
}

/** Lets a task go on; one that is not frozen, or is no more, needs nothing. */
export async function thaw(engine: DockerEngine, containerId: string): Promise<void> {
  try {
    await engine.call('thawing the task', FREEZE_SECONDS, (client, signal) =>
      client.getContainer(containerId).unpause({ abortSignal: signal }),
    );
  } catch (error) {
    if (!isContainerError(error, 'engine-refused')) throw error;
  }
}

async function openState(
  engine: DockerEngine,
  containerId: string,
  directory: string,
  signal: AbortSignal,
): Promise<Readable> {
  try {
    return await engine.open(
      'reading the state',
      { method: 'GET', path: `/containers/${containerId}/archive`, query: { path: directory } },
      signal,
    );
  } catch (error) {
    if (isContainerError(error) && error.statusCode === 404) {
      throw new ContainerError('state-unreadable', 'the state directory is gone', { cause: error });
    }
    throw error;
  }
}

/** See `ContainerDriver.writeState`. */
export async function writeState(
  engine: DockerEngine,
  containerId: string,
  directory: string,
  archive: Readable,
  { deadlineSeconds, signal }: { deadlineSeconds: number; signal: AbortSignal },
): Promise<void> {
  await engine.call(
    'putting the state back',
    deadlineSeconds,
    (client, abortSignal) =>
      client.getContainer(containerId).putArchive(archive, { path: directory, abortSignal }),
    signal,
  );
}

/** An archive's entry for a directory: its name below the root. */
export function directoryName(directory: string): string {
  return posix.normalize(directory).replace(/^\/+/, '');
}

const execState = z.object({ Running: z.boolean(), ExitCode: z.number().nullable() });

/** See `ContainerDriver.runInside`. */
export async function runInside(
  engine: DockerEngine,
  containerId: string,
  command: string | readonly string[],
  { deadlineSeconds, signal }: { deadlineSeconds: number; signal: AbortSignal },
): Promise<InsideResult> {
  const deadline = performance.now() + deadlineSeconds * 1_000;
  try {
    const exec = await engine.call('preparing a command', EXEC_SECONDS, (client, abortSignal) =>
      client.getContainer(containerId).exec({
        Cmd: typeof command === 'string' ? ['/bin/sh', '-c', command] : [...command],
        AttachStdout: true,
        AttachStderr: true,
        AttachStdin: false,
        Tty: false,
        Privileged: false,
        abortSignal,
      }),
    );
    const stream = await engine.call('starting a command', EXEC_SECONDS, (_client, abortSignal) =>
      exec.start({ hijack: false, stdin: false, Tty: false, abortSignal }),
    );
    const said = keepTail(stream);
    try {
      while (performance.now() < deadline && !signal.aborted) {
        const reply = await engine.call('looking after a command', EXEC_SECONDS, (_client, abortSignal) =>
          exec.inspect({ abortSignal }),
        );
        const state = execState.parse(reply);
        if (!state.Running && state.ExitCode !== null) return { exitCode: state.ExitCode, output: said() };
        await pause(lookAgainMs, signal);
      }
      return { exitCode: null, output: said() };
    } finally {
      stream.destroy();
    }
  } catch (error) {
    if (isContainerError(error) && error.statusCode === 409) {
      throw new ContainerError('task-not-running', error.message, { cause: error });
    }
    throw isContainerError(error) ? notFound(error) : error;
  }
}

/** Reads what a command says so that it never has to wait for us, and keeps the end of it. */
function keepTail(stream: NodeJS.ReadableStream): () => string {
  const frames = new FrameReader();
  let kept = Buffer.alloc(0);
  stream.on('data', (bytes: Buffer) => {
    try {
      const said = frames.push(bytes).map(({ payload }) => payload);
      kept = Buffer.concat([kept, ...said]).subarray(-keptOutputBytes);
    } catch {
      // What it said is a help for people; the exit code, on which things depend, is asked for elsewhere.
    }
  });
  stream.on('error', () => undefined); // likewise
  return () => kept.toString('utf8').trim();
}
