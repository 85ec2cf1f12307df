import type { OutputStream } from './container-driver.ts';

/** One frame of the engine's multiplexed streams: an eight-byte header (stream, length), then the bytes. */
export interface Frame {
  stream: OutputStream;
  payload: Buffer;
}

const HEADER_BYTES = 8;
/** The engine sends at most 32 KiB in one frame of live output and one entry (16 KiB) in one of the log. */
const MAX_FRAME_BYTES = 4 * 2 ** 20;

/**
 * Takes the engine's stream apart, chunk by chunk. Holds at most one incomplete frame. (The client library's own
 * splitter ignores whether its reader keeps up, so everything a fast task prints would pile up in memory.)
 */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that this chunk completes. Throws when the stream is not a multiplexed one or reports an error. */
  push(chunk: Buffer): Frame[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (bytes.length >= HEADER_BYTES) {
      const length = bytes.readUInt32BE(4);
      if (length > MAX_FRAME_BYTES) throw new Error(`the engine sent a frame of ${length} bytes`);
      if (bytes.length < HEADER_BYTES + length) break;
      frames.push({
        stream: streamOf(bytes, length),
        payload: bytes.subarray(HEADER_BYTES, HEADER_BYTES + length),
      });
      bytes = bytes.subarray(HEADER_BYTES + length);
    }
    this.#rest = bytes;
    return frames;
  }
}

function streamOf(bytes: Buffer, length: number): OutputStream {
  const type = bytes[0];
  if (type === 1) return 'stdout';
  if (type === 2) return 'stderr';
  // Type 3 carries the engine's own failure in the middle of a stream.
  if (type === 3) throw new Error(bytes.toString('utf8', HEADER_BYTES, HEADER_BYTES + length).trim());
  throw new Error(`the engine sent a frame of unknown type ${type}`);
}

/** Joins neighbours of the same stream: a task that writes byte by byte must not cost a call per byte. */
export function joinFrames(frames: readonly Frame[]): Frame[] {
  const joined: Frame[] = [];
  let parts: Buffer[] = [];
  frames.forEach((frame, index) => {
    parts.push(frame.payload);
    if (frames[index + 1]?.stream === frame.stream) return;
    // Always a copy: the parts are views into a buffer that is much larger than what may be kept of it.
    const payload = Buffer.concat(parts);
    if (payload.length > 0) joined.push({ stream: frame.stream, payload });
    parts = [];
  });
  return joined;
}
