import { toError } from '@computefabric/runtime/errors';
import { pause } from '@computefabric/runtime/wait';
import type {
  InsideResult,
  LiveOutput,
  OutputBytes,
  OutputStream,
  TaskExit,
  TaskSpec,
  TaskState,
  TaskStatus,
} from './container-driver.ts';
import { ContainerError } from './container-error.ts';

/** What runs in a fake container. Returns the exit code. Everything it awaits ends early when it is killed. */
export type FakeProgram = (process: FakeProcess) => Promise<number>;

export interface FakeProcess {
  readonly spec: TaskSpec;
  readonly env: ReadonlyMap<string, string>;
  /** Resolves when every attached reader has room for more, as a write to a pipe does. */
  print(stream: OutputStream, text: string | Uint8Array): Promise<void>;
  sleep(ms: number): Promise<void>;
  /** Instead of ending by SIGTERM with exit code 143. */
  onTerminate(handler: () => void): void;
  writeOutput(path: string, content: string): void;
  /** Files in the state directory: what was put back, and what the program has written since. */
  readonly state: Map<string, string>;
  /** What commands do that are run beside the program. */
  readonly commands: Map<string, () => InsideResult>;
  /** Something in `/outputs` that is no regular file. */
  leave(path: string, type: FakeEntryType): void;
  /** The kernel kills something for memory; the program itself goes on, as a shell does. */
  lackMemory(): void;
}

export type FakeEntryType = 'symlink' | 'link' | 'fifo' | 'character-device' | 'directory';

interface FakeOutput {
  path: string;
  type: 'file' | FakeEntryType;
  content: string;
}

/** What an engine buffers for one reader before it holds the writer. */
const READER_BUFFER_BYTES = 1_000_000;

class EndedBySignal extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super(`ended with ${exitCode}`);
    this.exitCode = exitCode;
  }
}

export class FakeContainer {
  readonly agentId: string;
  readonly createdAt = new Date();
  readonly outputs: FakeOutput[] = [];
  readonly state = new Map<string, string>();
  readonly commands = new Map<string, () => InsideResult>();
  readonly #id: string;
  readonly #spec: TaskSpec;
  readonly #env: ReadonlyMap<string, string>;
  readonly #program: FakeProgram;
  readonly #log: OutputBytes[] = [];
  readonly #readers = new Set<Reader>();
  readonly #ending = new AbortController();
  #state: TaskState = 'created';
  #exit: TaskExit | null = null;
  #oomKilled = false;
  #onTerminate: (() => void) | null = null;
  #changed = newSignal();

  constructor(from: { id: string; agentId: string; spec: TaskSpec; env: string[]; program: FakeProgram }) {
    this.#id = from.id;
    this.agentId = from.agentId;
    this.#spec = from.spec;
    this.#env = new Map(
      from.env.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    this.#program = from.program;
  }

  get image(): string {
    return this.#spec.image;
  }

  get status(): TaskStatus {
    const { leaseId, jobId, fence } = this.#spec;
    return { containerId: this.#id, leaseId, jobId, fence, state: this.#state, exit: this.#exit };
  }

  start(): void {
    if (this.#state !== 'created') return;
    this.#state = 'running';
    void this.#run(new Date());
  }

  async wait(signal?: AbortSignal): Promise<TaskExit> {
    while (this.#exit === null) await this.#change(signal, 'waiting for the task: stopped');
    return this.#exit;
  }

  async stop(graceSeconds: number): Promise<void> {
    if (this.#state !== 'running') return;
    if (this.#onTerminate) this.#onTerminate();
    else this.#end(143);
    const grace = AbortSignal.timeout(graceSeconds * 1000);
    try {
      await this.wait(grace);
    } catch {
      this.kill(); // the only way that wait fails is that the time is over
      await this.wait();
    }
  }

  kill(): void {
    if (this.#state === 'running') this.#end(137);
  }

  /** The container goes away: whoever waits for it learns that. */
  remove(): void {
    this.kill();
    for (const reader of this.#readers) reader.close();
  }

  attach(): LiveOutput {
    const reader = new Reader(() => this.#readers.delete(reader));
    this.#readers.add(reader);
    if (this.#state === 'exited') reader.finish();
    return reader;
  }

  /** Everything printed, from the first byte until the task has ended. */
  async *readLog(signal?: AbortSignal): AsyncGenerator<OutputBytes> {
    for (let next = 0; ; ) {
      if (signal?.aborted) throw new ContainerError('aborted', 'reading the output: stopped');
      const piece = this.#log[next];
      if (piece) {
        next += 1;
        yield piece;
      } else if (this.#exit) return;
      else await this.#change(signal, 'reading the output: stopped');
    }
  }

  async #run(startedAt: Date): Promise<void> {
    let exitCode: number;
    let error: string | null = null;
    try {
      exitCode = await this.#program(this.#process());
    } catch (thrown) {
      if (thrown instanceof EndedBySignal) exitCode = thrown.exitCode;
      else {
        exitCode = 128;
        error = toError(thrown).message;
      }
    }
    this.#exit = { exitCode, oomKilled: this.#oomKilled, startedAt, finishedAt: new Date(), error };
    this.#state = 'exited';
    for (const reader of this.#readers) reader.finish();
    this.#notify();
  }

  #process(): FakeProcess {
    const ended = this.#ending.signal;
    return {
      spec: this.#spec,
      env: this.#env,
      state: this.state,
      commands: this.commands,
      print: async (stream, text) => {
        ended.throwIfAborted();
        const data = Buffer.from(text);
        this.#log.push({ kind: 'bytes', stream, data });
        this.#notify();
        for (const reader of this.#readers) reader.push({ kind: 'bytes', stream, data });
        await Promise.all([...this.#readers].map((reader) => reader.room(ended)));
        ended.throwIfAborted();
      },
      sleep: async (ms) => {
        await pause(ms, ended);
        ended.throwIfAborted();
      },
      onTerminate: (handler) => {
        this.#onTerminate = handler;
      },
      writeOutput: (path, content) => this.outputs.push({ path, type: 'file', content }),
      leave: (path, type) => this.outputs.push({ path, type, content: '' }),
      lackMemory: () => {
        this.#oomKilled = true;
      },
    };
  }

  #end(exitCode: number): void {
    this.#ending.abort(new EndedBySignal(exitCode));
  }

  #notify(): void {
    const previous = this.#changed;
    this.#changed = newSignal();
    previous.fire();
  }

  async #change(signal: AbortSignal | undefined, stopped: string): Promise<void> {
    await this.#changed.wait(signal);
    if (signal?.aborted) throw new ContainerError('aborted', stopped);
  }
}

/** One attachment: a bounded queue between the program and its reader. */
class Reader implements LiveOutput {
  readonly #onClose: () => void;
  #queue: OutputBytes[] = [];
  #queuedBytes = 0;
  #finished = false;
  #closed = false;
  #changed = newSignal();

  constructor(onClose: () => void) {
    this.#onClose = onClose;
  }

  push(piece: OutputBytes): void {
    if (this.#closed) return;
    this.#queue.push(piece);
    this.#queuedBytes += piece.data.length;
    this.#notify();
  }

  async room(ended: AbortSignal): Promise<void> {
    while (this.#queuedBytes > READER_BUFFER_BYTES && !this.#closed && !ended.aborted)
      await this.#changed.wait(ended);
  }

  finish(): void {
    this.#finished = true;
    this.#notify();
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#onClose();
    this.#notify();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputBytes> {
    try {
      while (!this.#closed) {
        const piece = this.#queue.shift();
        if (piece) {
          this.#queuedBytes -= piece.data.length;
          this.#notify();
          yield piece;
        } else if (this.#finished) return;
        else await this.#changed.wait();
      }
    } finally {
      this.close();
    }
  }

  #notify(): void {
    const previous = this.#changed;
    this.#changed = newSignal();
    previous.fire();
  }
}

interface OnceSignal {
  fire(): void;
  /** Resolves at the fire, or when `signal` aborts. */
  wait(signal?: AbortSignal): Promise<void>;
}

function newSignal(): OnceSignal {
  const waiting = new Set<() => void>();
  return {
    fire: () => {
      for (const wake of waiting) wake();
    },
    wait: (signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const wake = () => {
          waiting.delete(wake);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal?.addEventListener('abort', wake, { once: true });
      }),
  };
}
