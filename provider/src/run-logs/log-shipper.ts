import { limits } from '@computefabric/protocol/limits';
import { encodeLogFrames } from '@computefabric/protocol/log-frames';
import { backoffMs } from '@computefabric/runtime/backoff';
import { pause } from '@computefabric/runtime/wait';
import type { LogSpool, SpoolCursor } from './log-spool.ts';

/**
 * Sends one batch and gives the number of the first chunk that the orchestrator has not stored. Repeats a lost
 * call by itself; throws when the try is no longer ours or the signal aborts.
 */
export type SendBatch = (
  firstSeq: number,
  frames: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
) => Promise<number>;

interface ShipperOptions {
  spool: LogSpool;
  send: SendBatch;
  /** Chunks that an earlier process knew to be stored. */
  acknowledged: number;
}

/** Longest sleep without news: a missed ring delays output by this much, no more. */
const lookAgainMs = 5_000;

/**
 * Brings the chunks of a spool to the orchestrator: in order, one batch at a time, from the chunk that the
 * orchestrator says it needs next.
 */
export class LogShipper {
  readonly #spool: LogSpool;
  readonly #send: SendBatch;
  #acknowledged: number;
  #cursor: SpoolCursor | undefined;
  /** Batches in a row after which nothing more was stored. */
  #stalled = 0;

  constructor(options: ShipperOptions) {
    this.#spool = options.spool;
    this.#send = options.send;
    this.#acknowledged = options.acknowledged;
  }

  /** Chunks that the orchestrator has stored. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Ships until the output is complete and stored, or the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const spool = this.#spool;
    while (!signal.aborted) {
      this.#cursor ??= await spool.seek(Math.min(this.#acknowledged, spool.chunks));
      if (this.#cursor.seq < spool.chunks) await this.#shipBatch(this.#cursor, signal);
      else if (spool.finished) return;
      else await spool.changed.wait(lookAgainMs, signal);
    }
  }

  /** Goes back: the orchestrator misses this chunk and what follows. Call `run` again afterwards. */
  rewind(seq: number): void {
    this.#acknowledged = Math.min(seq, this.#spool.chunks);
    this.#cursor = undefined;
  }

  async #shipBatch(from: SpoolCursor, signal: AbortSignal): Promise<void> {
    const { chunks, next } = await this.#spool.read(from, limits.logBatchBytes);
    const nextSeq = await this.#send(from.seq, encodeLogFrames(chunks), signal);
    this.#stalled = nextSeq > this.#acknowledged ? 0 : this.#stalled + 1;
    this.#acknowledged = nextSeq;
    // Anything else than "all stored, go on" means that they have more or less than we knew.
    this.#cursor = nextSeq === next.seq ? next : undefined;
    if (this.#stalled > 0) await pause(backoffMs(this.#stalled, { baseMs: 100, maxMs: 10_000 }), signal);
  }
}
