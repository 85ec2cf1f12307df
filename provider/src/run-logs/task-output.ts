import { backoffMs } from '@computefabric/runtime/backoff';
import type { Clock } from '@computefabric/runtime/clock';
import { toError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import { pause, withDeadline } from '@computefabric/runtime/wait';
import type { ContainerDriver, LiveOutput, OutputBytes } from '../container/container-driver.ts';
import { isContainerError } from '../container/container-error.ts';
import { LogShipper, type SendBatch } from './log-shipper.ts';
import { LogSpool } from './log-spool.ts';

/** The parts of the container driver that output comes from. */
export type OutputSource = Pick<ContainerDriver, 'attachOutput' | 'readOutputFrom'>;

interface TaskOutputOptions {
  spoolPath: string;
  acknowledged: number;
  source: OutputSource;
  send: SendBatch;
  clock: Clock;
  log: Logger;
  /** Aborts when nothing more is to be read or sent. */
  signal: AbortSignal;
}

/** The output of one task on its way from the engine over the spool to the orchestrator. */
export class TaskOutput {
  readonly #options: TaskOutputOptions;
  readonly #spool: LogSpool;
  readonly #shipper: LogShipper;
  /** Aborts when nothing more is to be read. */
  readonly #reader = new AbortController();
  #live: LiveOutput | undefined;
  #reading: Promise<void> | undefined;
  #shipping: Promise<void> | undefined;

  private constructor(options: TaskOutputOptions, spool: LogSpool) {
    this.#options = options;
    this.#spool = spool;
    options.signal.addEventListener('abort', () => this.#reader.abort(), { once: true });
    this.#shipper = new LogShipper({ spool, send: options.send, acknowledged: options.acknowledged });
  }

  static async open(options: TaskOutputOptions): Promise<TaskOutput> {
    return new TaskOutput(options, await LogSpool.open(options.spoolPath, { clock: options.clock }));
  }

  get counters(): { chunks: number; acknowledged: number; stdoutBytes: number; stderrBytes: number } {
    const { stdout, stderr } = this.#spool.consumed;
    return {
      chunks: this.#spool.chunks,
      acknowledged: this.#shipper.acknowledged,
      stdoutBytes: stdout,
      stderrBytes: stderr,
    };
  }

  /**
   * Opens the live output of a container that is about to start, so that its first byte is not missed.
   * Nothing to do when its output is being read already.
   *
   * @param onFirst called when the first output comes, which may be before the engine says that it has started
   */
  async attach(containerId: string, onFirst: () => void): Promise<void> {
    if (this.#reading) return;
    const live = await this.#options.source.attachOutput(containerId);
    this.#live = live;
    this.#reading = this.#follow(containerId, live, onFirst);
    this.#reading.catch(() => undefined); // Whoever calls readToEnd gets it.
  }

  /** Lets go of a container that never ran, so that another can be attached to. */
  async detach(): Promise<void> {
    this.#live?.close();
    await this.#reading?.catch(() => undefined); // It had no output that could be missed.
    this.#live = undefined;
    this.#reading = undefined;
  }

  /**
   * Brings the output of a container into the spool until it ends, from where the spool stands if it is not
   * being read yet.
   *
   * @throws SpoolError when this machine's disk does not take it
   */
  readToEnd(containerId: string): Promise<void> {
    this.#reading ??= this.#readOn(containerId);
    return this.#reading;
  }

  /** Gives up reading: what the engine has not handed over by now is lost. */
  stopReading(): void {
    this.#reader.abort();
  }

  /**
   * Ships chunks as they come, until the output is complete and stored.
   * @throws whatever sending throws: the try is gone, or the signal's reason
   */
  ship(): Promise<void> {
    this.#shipping ??= this.#shipper.run(this.#options.signal);
    return this.#shipping;
  }

  /** Ships again from a chunk on that the orchestrator misses. */
  async shipAgainFrom(seq: number): Promise<void> {
    await this.ship();
    this.#shipper.rewind(seq);
    this.#shipping = undefined;
    await this.ship();
  }

  /** A remark of ours in the output, in the place where it stands. */
  async remark(kind: 'gap' | 'results-left-out' | 'state-not-saved', text: string): Promise<void> {
    await this.#spool.remark(kind, text);
  }

  /** No more output will come: makes the last chunk. */
  async finish(): Promise<void> {
    await this.#spool.finish();
  }

  async close(): Promise<void> {
    try {
      await withDeadline(
        Promise.allSettled([this.#reading, this.#shipping]),
        5_000,
        'ending the output of a task',
      );
    } finally {
      await this.#spool.close();
    }
  }

  async #follow(containerId: string, live: LiveOutput, onFirst: () => void): Promise<void> {
    const { signal } = this.#reader;
    const close = () => live.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      if (signal.aborted) return;
      let first = true;
      for await (const piece of live) {
        if (first) onFirst();
        first = false;
        await this.#keep(piece);
      }
    } catch (thrown) {
      if (signal.aborted) return;
      if (!isContainerError(thrown)) throw thrown;
      this.#options.log.info({ err: thrown }, 'live output broke off; reading on from the log of the engine');
      await this.#readOn(containerId);
    } finally {
      signal.removeEventListener('abort', close);
      live.close();
    }
  }

  /** Reads on from where the spool stands, as often as the engine breaks off. */
  async #readOn(containerId: string): Promise<void> {
    const { source, log } = this.#options;
    const { signal } = this.#reader;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const { stdout, stderr } = this.#spool.taken;
      const position = { stdoutBytes: stdout, stderrBytes: stderr };
      try {
        for await (const piece of source.readOutputFrom(containerId, position, { signal })) {
          if (piece.kind === 'gap') await this.remark('gap', outputMissing);
          else await this.#keep(piece);
        }
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        if (!isContainerError(thrown) || isContainerError(thrown, 'task-not-found')) throw thrown;
        log.warn({ err: thrown }, 'reading output broke off; reading on');
        await pause(backoffMs(attempt, { baseMs: 100, maxMs: 5_000 }), signal);
      }
    }
  }

  async #keep({ stream, data }: OutputBytes): Promise<void> {
    try {
      await this.#spool.append(stream, data);
    } catch (thrown) {
      throw new SpoolError(`the output cannot be kept: ${toError(thrown).message}`, { cause: thrown });
    }
  }
}

/** The remark in the place of output that the engine could not hand over. */
export const outputMissing = 'Some output is missing here: the machine could not keep it.\n';

/** This machine's disk does not take the output. */
export class SpoolError extends Error {
  override readonly name = 'SpoolError';
}
