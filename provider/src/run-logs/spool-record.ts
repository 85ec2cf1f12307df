import { crc32 } from 'node:zlib';
import { limits } from '@computefabric/protocol/limits';
import { type LogStream, logStreams } from '@computefabric/protocol/log-frames';

/** What a chunk is: output of the program, or one of our remarks. */
export const chunkKinds = [
  'output',
  'limit-reached',
  'dropped-bytes',
  'results-left-out',
  'gap',
  'state-not-saved',
] as const;
export type ChunkKind = (typeof chunkKinds)[number];

/** A chunk as it lies in the spool file; its number is its place. */
export interface SpoolRecord {
  stream: LogStream;
  kind: ChunkKind;
  atMs: number;
  data: Uint8Array;
}

/** length (4 bytes), checksum (4) of all that follows, stream (1), kind (1), time (8), then the data. */
const headerBytes = 18;
const checkedFrom = 8;

export function recordBytes(dataBytes: number): number {
  return headerBytes + dataBytes;
}

export function encodeRecords(records: readonly SpoolRecord[]): Buffer {
  const bytes = Buffer.allocUnsafe(
    records.reduce((sum, record) => sum + recordBytes(record.data.byteLength), 0),
  );
  let offset = 0;
  for (const { stream, kind, atMs, data } of records) {
    const end = offset + recordBytes(data.byteLength);
    bytes.writeUInt32BE(data.byteLength, offset);
    bytes.writeUInt8(logStreams.indexOf(stream), offset + 8);
    bytes.writeUInt8(chunkKinds.indexOf(kind), offset + 9);
    bytes.writeBigUInt64BE(BigInt(atMs), offset + 10);
    bytes.set(data, offset + headerBytes);
    bytes.writeUInt32BE(crc32(bytes.subarray(offset + checkedFrom, end)), offset + 4);
    offset = end;
  }
  return bytes;
}

/**
 * The record at an offset and where the next one begins. Null when there is no whole, undamaged record: what
 * a write that a crash cut short leaves behind.
 */
export function decodeRecord(bytes: Buffer, offset: number): { record: SpoolRecord; next: number } | null {
  if (bytes.length - offset < headerBytes) return null;
  const length = bytes.readUInt32BE(offset);
  const next = offset + recordBytes(length);
  if (length > limits.logChunkBytes || next > bytes.length) return null;
  if (crc32(bytes.subarray(offset + checkedFrom, next)) !== bytes.readUInt32BE(offset + 4)) return null;
  const stream = logStreams[bytes.readUInt8(offset + 8)];
  const kind = chunkKinds[bytes.readUInt8(offset + 9)];
  if (!stream || !kind) return null;
  const atMs = Number(bytes.readBigUInt64BE(offset + 10));
  return { record: { stream, kind, atMs, data: bytes.subarray(offset + headerBytes, next) }, next };
}
