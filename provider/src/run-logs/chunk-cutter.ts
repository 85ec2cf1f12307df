import { limits } from '@computefabric/protocol/limits';

/** The two streams of a program. */
export const engineStreams = ['stdout', 'stderr'] as const;
export type EngineStream = (typeof engineStreams)[number];

/** A piece of output, ready to become a numbered chunk. */
export interface CutPiece {
  stream: EngineStream;
  data: Buffer;
}

/**
 * Switches between the two streams that one flush keeps in order. A program that alternates faster than that
 * gets its output grouped by stream, so that two-byte writes cannot become millions of chunks.
 */
const orderedSwitches = 64;

/**
 * Cuts the output of a program into pieces of at most 64 KiB. Joined, the pieces of a stream are exactly the
 * bytes that were pushed. Text is never cut inside a character, and at a line's end where there is one.
 */
export class ChunkCutter {
  readonly #maxBytes: number;
  readonly #pending: Record<EngineStream, Pending> = {
    stdout: { parts: [], bytes: 0 },
    stderr: { parts: [], bytes: 0 },
  };
  #current: EngineStream = 'stdout';
  #switches = 0;

  constructor(maxBytes: number = limits.logChunkBytes) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that no piece has taken yet. */
  get pendingBytes(): number {
    return this.#pending.stdout.bytes + this.#pending.stderr.bytes;
  }

  /** Takes output in; gives the pieces that are complete because they are full or the other stream goes on. */
  push(stream: EngineStream, data: Uint8Array): CutPiece[] {
    const pieces: CutPiece[] = [];
    if (data.byteLength === 0) return pieces;
    if (stream !== this.#current) {
      this.#switches += 1;
      if (this.#switches <= orderedSwitches) this.#takeWholeCharacters(this.#current, pieces);
      this.#current = stream;
    }
    const pending = this.#pending[stream];
    pending.parts.push(Buffer.from(data)); // a copy: the caller may use its buffer again
    pending.bytes += data.byteLength;
    if (pending.bytes >= this.#maxBytes) {
      let rest = takeAll(pending);
      while (rest.length >= this.#maxBytes) {
        const cut = cutPoint(rest.subarray(0, this.#maxBytes));
        pieces.push({ stream, data: rest.subarray(0, cut) });
        rest = rest.subarray(cut);
      }
      putBack(pending, rest);
    }
    return pieces;
  }

  /** Everything up to the last whole character of each stream, the older stream first. */
  flush(): CutPiece[] {
    const pieces: CutPiece[] = [];
    this.#takeWholeCharacters(this.#current === 'stdout' ? 'stderr' : 'stdout', pieces);
    this.#takeWholeCharacters(this.#current, pieces);
    this.#switches = 0;
    return pieces;
  }

  /** Everything, for the output has ended: half a character stays half a character. */
  finish(): CutPiece[] {
    const pieces = this.flush();
    for (const stream of engineStreams) {
      const rest = takeAll(this.#pending[stream]);
      if (rest.length > 0) pieces.push({ stream, data: rest });
    }
    return pieces;
  }

  #takeWholeCharacters(stream: EngineStream, pieces: CutPiece[]): void {
    const pending = this.#pending[stream];
    const bytes = takeAll(pending);
    const whole = wholeCharacterBytes(bytes);
    if (whole > 0) pieces.push({ stream, data: bytes.subarray(0, whole) });
    putBack(pending, bytes.subarray(whole));
  }
}

/** Output of one stream that no piece has taken yet, as it came: joined only when it is cut. */
interface Pending {
  parts: Buffer[];
  bytes: number;
}

function takeAll(pending: Pending): Buffer {
  const [only] = pending.parts;
  const all = pending.parts.length === 1 && only ? only : Buffer.concat(pending.parts);
  pending.parts = [];
  pending.bytes = 0;
  return all;
}

function putBack(pending: Pending, rest: Buffer): void {
  if (rest.length === 0) return;
  pending.parts = [rest];
  pending.bytes = rest.length;
}

/** Where to cut a full window: after its last line if that keeps at least half, else after its last character. */
function cutPoint(window: Buffer): number {
  const afterLine = window.lastIndexOf(0x0a) + 1;
  if (afterLine >= window.length / 2) return afterLine;
  return wholeCharacterBytes(window) || window.length;
}

/**
 * Length without a character that has only begun at the end. Bytes that are no UTF-8 at all are never held
 * back: at most three bytes can be the beginning of something.
 */
export function wholeCharacterBytes(bytes: Buffer): number {
  const length = bytes.length;
  for (let back = 1; back <= Math.min(3, length); back += 1) {
    const byte = bytes[length - back] ?? 0;
    if (byte >= 0x80 && byte < 0xc0) continue; // inside a character: look further back for its beginning
    return sequenceBytes(byte) > back ? length - back : length;
  }
  return length;
}

/** Bytes of the character that begins with this byte. */
function sequenceBytes(first: number): number {
  if (first >= 0xf0 && first < 0xf8) return 4;
  if (first >= 0xe0) return first < 0xf0 ? 3 : 1;
  return first >= 0xc0 ? 2 : 1;
}
