import { type FileHandle, open } from 'node:fs/promises';
import { limits } from '@computefabric/protocol/limits';
import { frameBytes, type LogChunk } from '@computefabric/protocol/log-frames';
import type { Clock } from '@computefabric/runtime/clock';
import { toError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { Bell } from '../bell.ts';
import { ChunkCutter, type CutPiece, type EngineStream } from './chunk-cutter.ts';
import {
  type ChunkKind,
  decodeRecord,
  encodeRecords,
  recordBytes,
  type SpoolRecord,
} from './spool-record.ts';

export interface SpoolOptions {
  clock: Clock;
  /** Bytes of output kept of one try, with what each chunk takes on the wire. */
  limitBytes?: number;
  /** Small output waits this long for company, unless it comes after a silence. */
  flushMs?: number;
}

/** A place in the spool: a chunk and where its record begins. */
export interface SpoolCursor {
  seq: number;
  offset: number;
}

export const spoolStart: SpoolCursor = { seq: 0, offset: 0 };

/** Output in memory that has not reached the file; above it the reader of the engine is held up. */
const unwrittenLimitBytes = 1_048_576;

/** A remark names things that a program has named; it stays a remark however long these names are. */
const remarkLimitBytes = 8_192;

/**
 * The output of one try on disk, cut into numbered chunks. The file is the only truth: a chunk's number is its
 * place, and how far the engine's output has been consumed is the sum of what the chunks hold. A kill at any
 * point therefore leaves both in step; what was not written is read from the engine again.
 *
 * Bounded by `limitBytes`: what comes after is dropped and a remark of ours says how much.
 */
export class LogSpool {
  /** Rings when there are new chunks, and when the output is complete. */
  readonly changed = new Bell();
  readonly #file: FileHandle;
  readonly #clock: Clock;
  readonly #limitBytes: number;
  readonly #flushMs: number;
  readonly #cutter = new ChunkCutter();
  readonly #kinds = new Set<ChunkKind>();
  readonly #consumed: Record<EngineStream, number> = { stdout: 0, stderr: 0 };
  readonly #taken: Record<EngineStream, number> = { stdout: 0, stderr: 0 };
  #chunks = 0;
  #endOffset = 0;
  #keptBytes = 0;
  #droppedBytes = 0;
  #finished = false;
  #unwritten: SpoolRecord[] = [];
  #unwrittenBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #flushTimer: NodeJS.Timeout | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;

  private constructor(file: FileHandle, options: SpoolOptions) {
    this.#file = file;
    this.#clock = options.clock;
    this.#limitBytes = options.limitBytes ?? limits.logBytesPerLease;
    this.#flushMs = options.flushMs ?? 20;
  }

  /** Opens the spool at `path`, with what an earlier process left in it. */
  static async open(path: string, options: SpoolOptions): Promise<LogSpool> {
    const file = await open(path, 'a+', 0o600);
    const spool = new LogSpool(file, options);
    const { end } = await spool.#walk((record) => spool.#count(record), Number.POSITIVE_INFINITY);
    // The tail of a write that a crash cut short; its output is read from the engine again.
    await file.truncate(end.offset);
    spool.#endOffset = end.offset;
    Object.assign(spool.#taken, spool.#consumed);
    return spool;
  }

  /** Bytes of each stream that this process has taken in: where it goes on when the engine breaks off. */
  get taken(): Readonly<Record<EngineStream, number>> {
    return { ...this.#taken };
  }

  /** Bytes of each stream that are safely in the spool: where another process would go on. */
  get consumed(): Readonly<Record<EngineStream, number>> {
    return { ...this.#consumed };
  }

  /** Chunks made so far; they are numbered from 0. */
  get chunks(): number {
    return this.#chunks;
  }

  /** The output is complete: no chunk will follow. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Takes output in. Resolves when there is room for more; rejects when the disk does not take it. */
  async append(stream: EngineStream, data: Uint8Array): Promise<void> {
    invariant(!this.#finished, 'output after the end of output');
    if (this.#failure) throw this.#failure;
    this.#taken[stream] += data.byteLength;
    this.#keep(this.#cutter.push(stream, data));
    if (this.#unwrittenBytes >= unwrittenLimitBytes) await this.#write();
    else this.#scheduleFlush();
  }

  /**
   * A remark of ours in the output. Each kind is made once, so that a restart does not repeat it; only gaps are
   * as many as there are.
   */
  async remark(kind: 'gap' | 'results-left-out' | 'state-not-saved', text: string): Promise<void> {
    if (this.#finished) return;
    this.#keep(this.#cutter.flush());
    this.#addRemark(kind, text);
    await this.#write();
  }

  /** The output has ended. Everything is on disk when this resolves, and says how much was dropped. */
  async finish(): Promise<void> {
    if (this.#finished) return;
    clearTimeout(this.#flushTimer);
    this.#keep(this.#cutter.finish());
    if (this.#droppedBytes > 0 && !this.#kinds.has('dropped-bytes')) {
      this.#addRemark('dropped-bytes', `${this.#droppedBytes} bytes of output were dropped.\n`);
    }
    await this.#write();
    this.#finished = true;
    this.changed.ring();
  }

  /** Up to `maxBytes` of chunks (as frames) from a cursor on, and where the next ones begin. */
  async read(from: SpoolCursor, maxBytes: number): Promise<{ chunks: LogChunk[]; next: SpoolCursor }> {
    const chunks: LogChunk[] = [];
    let bytes = 0;
    const { end } = await this.#walk(
      (record, seq) => {
        bytes += frameBytes(record.data.byteLength);
        if (bytes > maxBytes && chunks.length > 0) return false;
        chunks.push({ seq, stream: record.stream, atMs: record.atMs, data: record.data });
        return true;
      },
      this.#endOffset,
      from,
    );
    return { chunks, next: end };
  }

  /** The place of a chunk, found by reading from the start: for the rare case that a reader must go back. */
  async seek(seq: number): Promise<SpoolCursor> {
    invariant(seq >= 0 && seq <= this.#chunks, `chunk ${seq} of ${this.#chunks}`);
    if (seq === 0) return spoolStart;
    const { end } = await this.#walk((_record, at) => at < seq, this.#endOffset);
    return end;
  }

  /** Writes what is pending and closes the file; the spool can be opened again. */
  async close(): Promise<void> {
    clearTimeout(this.#flushTimer);
    if (!this.#finished && !this.#failure) {
      this.#keep(this.#cutter.flush());
      await this.#write();
    }
    await this.#writing.catch(() => undefined); // The failure was given to whoever appended.
    await this.#file.close();
  }

  /** Writes soon: at once after a silence, so that a line appears quickly, else when `flushMs` have passed. */
  #scheduleFlush(): void {
    if (this.#flushTimer) return;
    const sinceFlush = this.#clock.monotonic() - this.#flushedAt;
    this.#flushTimer = setTimeout(
      () => {
        this.#flushTimer = undefined;
        this.#keep(this.#cutter.flush());
        // A failure is kept and given to the next append or finish.
        this.#write().catch(() => undefined);
      },
      Math.min(this.#flushMs, Math.max(0, this.#flushMs - sinceFlush)),
    );
  }

  /** Queues pieces for the file as long as the limit allows. Once one is dropped, all that follow are. */
  #keep(pieces: readonly CutPiece[]): void {
    for (const { stream, data } of pieces) {
      const bytes = frameBytes(data.length);
      if (this.#kinds.has('limit-reached') || this.#keptBytes + bytes > this.#limitBytes) {
        const mib = Math.floor(this.#limitBytes / 1_048_576);
        this.#addRemark(
          'limit-reached',
          `The limit of ${mib} MiB of output is reached; what follows is dropped.\n`,
        );
        this.#droppedBytes += data.length;
        continue;
      }
      this.#keptBytes += bytes;
      this.#queue({ stream, kind: 'output', atMs: this.#clock.now(), data });
    }
  }

  #addRemark(kind: Exclude<ChunkKind, 'output'>, text: string): void {
    if (kind !== 'gap' && this.#kinds.has(kind)) return;
    this.#kinds.add(kind);
    const data = Buffer.from(text).subarray(0, remarkLimitBytes);
    this.#queue({ stream: 'system', kind, atMs: this.#clock.now(), data });
  }

  #queue(record: SpoolRecord): void {
    this.#unwritten.push(record);
    this.#unwrittenBytes += recordBytes(record.data.byteLength);
  }

  /** Writes what is queued, one write after the other. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      if (this.#failure) throw this.#failure;
      const records = this.#unwritten;
      if (records.length === 0) return;
      this.#unwritten = [];
      this.#unwrittenBytes = 0;
      this.#flushedAt = this.#clock.monotonic();
      try {
        const bytes = encodeRecords(records);
        await this.#file.appendFile(bytes);
        this.#endOffset += bytes.length;
      } catch (thrown) {
        this.#failure = toError(thrown);
        throw this.#failure;
      }
      for (const record of records) this.#countWritten(record);
      this.changed.ring();
    });
    return this.#writing;
  }

  #countWritten(record: SpoolRecord): void {
    this.#chunks += 1;
    if (record.stream !== 'system') this.#consumed[record.stream] += record.data.byteLength;
  }

  /** Takes a record of an earlier process into account. */
  #count(record: SpoolRecord): boolean {
    this.#countWritten(record);
    if (record.kind === 'output') this.#keptBytes += frameBytes(record.data.byteLength);
    else this.#kinds.add(record.kind);
    return true;
  }

  /**
   * Visits whole records from a cursor on, until the visitor says stop, the end is reached or a record is
   * damaged. Gives the place of the first record not taken.
   */
  async #walk(
    visit: (record: SpoolRecord, seq: number) => boolean,
    until: number,
    from: SpoolCursor = spoolStart,
  ): Promise<{ end: SpoolCursor }> {
    let { seq, offset } = from;
    for (;;) {
      // Twice the largest record: every read holds at least one whole record if there is one.
      const window = Buffer.allocUnsafe(Math.min(until - offset, 2 * recordBytes(limits.logChunkBytes)));
      const { bytesRead } = await this.#file.read(window, 0, window.length, offset);
      const bytes = window.subarray(0, bytesRead);
      let at = 0;
      for (let found = decodeRecord(bytes, at); found; found = decodeRecord(bytes, at)) {
        if (!visit(found.record, seq)) return { end: { seq, offset: offset + at } };
        seq += 1;
        at = found.next;
      }
      if (at === 0) return { end: { seq, offset } };
      offset += at;
    }
  }
}
