import type { OutputPosition, OutputStream } from './container-driver.ts';
import type { Frame } from './docker-frames.ts';

const SPACE = 0x20;
const NEWLINE = 0x0a;
/** What the engine's log file holds beside an entry's text: lengths, stream, time, and marks of a split line. */
const MAX_ENTRY_OVERHEAD_BYTES = 160;
const USUAL_ENTRY_OVERHEAD_BYTES = 40;

interface StreamState {
  /** Bytes of the task's output up to here, delivered or not. */
  seenBytes: number;
  /** Time of the last entry when it had no newline at its end, else null. */
  openSince: string | null;
}

/**
 * Turns entries of the engine's log back into the bytes that the task wrote, and leaves out those before a
 * position. Entries must come from the log's very beginning, with their times: the log knows no offsets.
 *
 * The engine cuts a line at 16 KiB and gives all of its parts the time of the first. Docker 20.10 loses the newline
 * after the last part of such a line; a new time after an open end is how that shows, and it is put back here.
 * Only a cut line that is the task's very last output leaves it open whether a newline was there; none is made up.
 */
export class LogReplay {
  readonly #from: OutputPosition;
  readonly #streams: Record<OutputStream, StreamState> = {
    stdout: { seenBytes: 0, openSince: null },
    stderr: { seenBytes: 0, openSince: null },
  };
  #logBytes = 0;
  #firstEntryAt: string | null = null;

  constructor(from: OutputPosition) {
    this.#from = from;
  }

  /** Takes one entry in; gives what of it lies after the position. */
  push({ stream, payload }: Frame): Frame[] {
    const space = payload.indexOf(SPACE);
    if (space < 20) throw new Error('the engine sent a log entry without its time');
    const at = payload.toString('latin1', 0, space);
    const text = payload.subarray(space + 1);
    this.#firstEntryAt ??= at;

    const state = this.#streams[stream];
    const out: Frame[] = [];
    if (state.openSince !== null && state.openSince !== at) this.#take(stream, Buffer.from('\n'), out);
    const isOpen = text.at(-1) !== NEWLINE;
    this.#logBytes += text.length + (isOpen ? MAX_ENTRY_OVERHEAD_BYTES : USUAL_ENTRY_OVERHEAD_BYTES);
    state.openSince = isOpen ? at : null;
    this.#take(stream, text, out);
    return out;
  }

  /** Where a reader that kept everything now stands. */
  get position(): OutputPosition {
    return {
      stdoutBytes: Math.max(this.#from.stdoutBytes, this.#streams.stdout.seenBytes),
      stderrBytes: Math.max(this.#from.stderrBytes, this.#streams.stderr.seenBytes),
    };
  }

  /** At least as much as the log's files take for these entries. */
  get logBytes(): number {
    return this.#logBytes;
  }

  /** Names the log's beginning: another one later means that the beginning has been rotated away. */
  get firstEntryAt(): string | null {
    return this.#firstEntryAt;
  }

  #take(stream: OutputStream, bytes: Buffer, out: Frame[]): void {
    const state = this.#streams[stream];
    const from = stream === 'stdout' ? this.#from.stdoutBytes : this.#from.stderrBytes;
    const skip = Math.max(0, from - state.seenBytes);
    state.seenBytes += bytes.length;
    if (skip < bytes.length) out.push({ stream, payload: bytes.subarray(skip) });
  }
}
