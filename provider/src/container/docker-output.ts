import type { IncomingMessage } from 'node:http';
import { pause } from '@computefabric/runtime/wait';
import type { LiveOutput, OutputBytes, OutputPiece, OutputPosition } from './container-driver.ts';
import { ContainerError, isContainerError, notFound } from './container-error.ts';
import type { DockerEngine } from './docker-engine.ts';
import { type Frame, FrameReader, joinFrames } from './docker-frames.ts';
import { LogReplay } from './log-replay.ts';

/*
 * Two ways to a task's output, and why there are two.
 *
 * Live output is read by attaching: it is immediate down to a progress bar's carriage return, and lossless, because
 * the engine holds the task's writes while its reader is busy. But an attachment knows only what comes after it.
 *
 * The engine's own log covers the time in which nobody was attached. It cannot be the only way: it shows a line
 * when it is complete, costs several times as much, and following it goes wrong at a rotation (Docker 20.10 was
 * seen to skip whole files, and to hang). So the log is followed only inside its first file, from its beginning,
 * where a byte's place is its count; a log that has grown beyond that is left for the live output, behind a gap.
 */

/** The part of one log file that is surely before its rotation: the count of what it holds is an estimate. */
const SAFE_SHARE = 0.95;

/** The engine closes the output a moment before it notes the end. */
const END_NOTED_MS = 5_000;
/** A silence this long makes the reader look whether the task has ended. */
const SILENCE_MS = 2_000;
const LOOK_EVERY_MS = SILENCE_MS / 4;
/**
 * So many looks in a row, from the one that finds the task ended, must find nothing new before the output counts as
 * complete. Between two of them this process has read what the engine sent, however late it came to it. The silence
 * before the end proves nothing: most of it is that of a task that had not begun.
 */
const LOOKS_AFTER_END = 5;

/** Tells whether the task has ended; throws when the engine cannot be asked. */
type HasEnded = (containerId: string) => Promise<boolean>;

/** An open attachment. */
export class AttachedOutput implements LiveOutput {
  readonly #containerId: string;
  readonly #stream: IncomingMessage;
  readonly #hasEnded: HasEnded;
  #state: 'open' | 'finished' | 'closed' = 'open';
  /** When the reader began to wait for the engine; null while the reader is busy. */
  #waitingSince: number | null = null;
  /** The silence in which the task was found to have ended, by its beginning, and how often that was looked at. */
  #quietEnd: { since: number; looks: number } | null = null;

  private constructor(containerId: string, stream: IncomingMessage, hasEnded: HasEnded) {
    this.#containerId = containerId;
    this.#stream = stream;
    this.#hasEnded = hasEnded;
  }

  /** Resolves when the engine has answered, which it does after it has registered the reader. */
  static async open(engine: DockerEngine, containerId: string, hasEnded: HasEnded): Promise<AttachedOutput> {
    try {
      const stream = await engine.open('attaching to the task', {
        method: 'POST',
        path: `/containers/${containerId}/attach`,
        query: { stream: true, stdout: true, stderr: true },
      });
      return new AttachedOutput(containerId, stream, hasEnded);
    } catch (error) {
      throw notFound(error);
    }
  }

  close(): void {
    this.#state = 'closed';
    this.#stream.destroy();
  }

  /** Calls `done` when the connection is gone, for whatever reason. */
  onClose(done: () => void): void {
    this.#stream.once('close', done);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputBytes> {
    const watch = setInterval(() => void this.#finishIfOver(), LOOK_EVERY_MS);
    let broken: unknown;
    try {
      const reader = new FrameReader();
      this.#waitingSince = performance.now();
      for await (const chunk of this.#stream) {
        this.#waitingSince = null;
        for (const frame of joinFrames(reader.push(chunk))) yield bytesOf(frame);
        this.#waitingSince = performance.now();
      }
    } catch (error) {
      broken = error;
    } finally {
      clearInterval(watch);
    }
    if (this.#state !== 'open') return;
    if (broken !== undefined || !(await this.#endsSoon())) {
      throw new ContainerError('output-interrupted', 'the live output broke off while the task runs', {
        cause: broken,
      });
    }
  }

  /**
   * The engine never ends the output of a container that had ended before it was attached to. So when nothing comes
   * for a while, the end is looked for.
   */
  async #finishIfOver(): Promise<void> {
    const since = this.#waitingSince;
    if (since === null || performance.now() - since < SILENCE_MS) return;
    try {
      if (this.#quietEnd?.since !== since) {
        if (!(await this.#hasEnded(this.#containerId))) return;
        if (this.#quietEnd?.since !== since) this.#quietEnd = { since, looks: 0 };
      }
      // What the task printed before its end may have come while the engine was asked.
      if (this.#waitingSince !== since || this.#state !== 'open') return;
      this.#quietEnd.looks += 1;
      if (this.#quietEnd.looks < LOOKS_AFTER_END) return;
      this.#state = 'finished';
      this.#stream.destroy();
    } catch {
      // The engine cannot be asked now; if it is gone, so is the stream, and its reader is told.
    }
  }

  async #endsSoon(): Promise<boolean> {
    const deadline = performance.now() + END_NOTED_MS;
    for (;;) {
      try {
        if (await this.#hasEnded(this.#containerId)) return true;
      } catch (error) {
        // The engine went away together with the output: the reader goes on when it is back.
        if (isContainerError(error, 'engine-unreachable', 'engine-timeout')) return false;
        throw error;
      }
      if (performance.now() > deadline) return false;
      await pause(20);
    }
  }
}

export interface ReadOutputNeeds {
  engine: DockerEngine;
  containerId: string;
  /** Size of one file of this container's log. */
  engineLogFileBytes: number;
  hasEnded: HasEnded;
  attach: () => Promise<LiveOutput>;
  signal: AbortSignal | undefined;
}

/** See `ContainerDriver.readOutputFrom`. */
export async function* readOutputFrom(
  needs: ReadOutputNeeds,
  from: OutputPosition,
): AsyncGenerator<OutputPiece> {
  const { containerId, hasEnded, attach, signal } = needs;
  const log = new EngineLog(needs);
  if (!(await log.isComplete())) {
    yield* fromNowOn(attach, signal);
    return;
  }
  let position = from;
  for (let follow = true; ; ) {
    const replay = new LogReplay(position);
    for await (const frames of log.entries(follow)) {
      const out = frames.flatMap((frame) => replay.push(frame));
      if (!log.beganWith(replay.firstEntryAt) || replay.logBytes > log.safeBytes) {
        yield* fromNowOn(attach, signal);
        return;
      }
      for (const frame of joinFrames(out)) yield bytesOf(frame);
    }
    position = replay.position;
    // The last pass reads a log that nobody writes any more: what the following may have missed at the end.
    if (!follow) return;
    follow = !(await hasEnded(containerId));
    if (follow) await pause(200, signal);
  }
}

async function* fromNowOn(
  attach: () => Promise<LiveOutput>,
  signal: AbortSignal | undefined,
): AsyncGenerator<OutputPiece> {
  yield { kind: 'gap' };
  const live = await attach();
  const close = () => live.close();
  signal?.addEventListener('abort', close, { once: true });
  try {
    if (signal?.aborted) close();
    yield* live;
    throwIfAborted(signal);
  } finally {
    signal?.removeEventListener('abort', close);
    close();
  }
}

/** The engine's log of one container, read from its beginning each time. */
class EngineLog {
  readonly safeBytes: number;
  readonly #engine: DockerEngine;
  readonly #containerId: string;
  readonly #signal: AbortSignal | undefined;
  #firstEntryAt: string | null = null;

  constructor({ engine, containerId, engineLogFileBytes, signal }: ReadOutputNeeds) {
    this.safeBytes = engineLogFileBytes * SAFE_SHARE;
    this.#engine = engine;
    this.#containerId = containerId;
    this.#signal = signal;
  }

  /**
   * Whether nothing has been rotated away. Rotation deletes a file only when the other one is full, so a log
   * smaller than one file is whole.
   */
  async isComplete(): Promise<boolean> {
    const replay = new LogReplay({ stdoutBytes: 0, stderrBytes: 0 });
    for await (const frames of this.entries(false)) {
      for (const frame of frames) replay.push(frame);
      if (replay.logBytes > this.safeBytes) return false;
    }
    this.#firstEntryAt = replay.firstEntryAt;
    return true;
  }

  /** Whether this is the first entry that the log had when it was known to be complete. */
  beganWith(firstEntryAt: string | null): boolean {
    this.#firstEntryAt ??= firstEntryAt;
    return this.#firstEntryAt === firstEntryAt;
  }

  async *entries(follow: boolean): AsyncGenerator<Frame[]> {
    const stream = await this.#open(follow);
    try {
      const reader = new FrameReader();
      for await (const chunk of stream) yield reader.push(chunk);
    } catch (error) {
      throwIfAborted(this.#signal);
      throw this.#engine.asContainerError('reading the output', error);
    }
  }

  async #open(follow: boolean): Promise<IncomingMessage> {
    try {
      return await this.#engine.open(
        'reading the output',
        {
          method: 'GET',
          path: `/containers/${this.#containerId}/logs`,
          query: { follow, stdout: true, stderr: true, timestamps: true },
        },
        this.#signal,
      );
    } catch (error) {
      throw notFound(error);
    }
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ContainerError('aborted', 'reading the output: stopped');
}

function bytesOf({ stream, payload }: Frame): OutputBytes {
  return { kind: 'bytes', stream, data: payload };
}
