import { limits } from './limits.ts';

/** Where a piece of output came from: the program's two streams, or a remark of ours (`system`). */
export const logStreams = ['stdout', 'stderr', 'system'] as const;
export type LogStream = (typeof logStreams)[number];

/** One numbered piece of output of one try. Chunks of a try are numbered 0, 1, 2, … without a gap. */
export interface LogChunk {
  seq: number;
  stream: LogStream;
  /** When the agent read it, milliseconds since 1970. Informative: order is `seq`. */
  atMs: number;
  data: Uint8Array;
}

/** stream (1 byte), time (8 bytes, unsigned, big-endian ms), length (4 bytes, big-endian), then the data. */
const headerBytes = 13;

/** Bytes that one chunk takes in a batch. */
export function frameBytes(dataBytes: number): number {
  return headerBytes + dataBytes;
}

/**
 * Packs consecutive chunks for the wire. Binary, because text framing (a JSON line each) halves the
 * throughput of the log path. The first chunk's number travels beside the batch; the others count on.
 */
export function encodeLogFrames(chunks: readonly LogChunk[]): Uint8Array<ArrayBuffer> {
  const total = chunks.reduce((sum, chunk) => sum + frameBytes(chunk.data.byteLength), 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const chunk of chunks) {
    view.setUint8(offset, logStreams.indexOf(chunk.stream));
    view.setBigUint64(offset + 1, BigInt(chunk.atMs));
    view.setUint32(offset + 9, chunk.data.byteLength);
    bytes.set(chunk.data, offset + headerBytes);
    offset += frameBytes(chunk.data.byteLength);
  }
  return bytes;
}

/** Unpacks a batch; null when it is not exactly a sequence of well-formed frames within the size limits. */
export function decodeLogFrames(bytes: Uint8Array, firstSeq: number): LogChunk[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: LogChunk[] = [];
  let offset = 0;
  while (offset < bytes.byteLength) {
    if (bytes.byteLength - offset < headerBytes) return null;
    const stream = logStreams[view.getUint8(offset)];
    const atMs = view.getBigUint64(offset + 1);
    const length = view.getUint32(offset + 9);
    const start = offset + headerBytes;
    if (!stream || length > limits.logChunkBytes || length > bytes.byteLength - start) return null;
    if (atMs > BigInt(8_640_000_000_000_000)) return null; // past what a Date can hold
    chunks.push({
      seq: firstSeq + chunks.length,
      stream,
      atMs: Number(atMs),
      data: bytes.subarray(start, start + length),
    });
    offset = start + length;
  }
  return chunks;
}
