import type { Readable } from 'node:stream';

/** What the bytes must turn out to be. */
export interface BlobFacts {
  /** Lower-case hex. */
  sha256: string;
  sizeBytes: number;
}

/** Keeps the bytes of result files. Content is named by its hash and never changed. */
export interface BlobStore {
  /**
   * Takes bytes in and gives the key under which they are kept; they are safe from a crash when this resolves.
   * Bytes that are there already are fine.
   *
   * @throws AppError `artifact/hash-mismatch` when hash or size are not as announced; nothing is kept then.
   */
  put(body: AsyncIterable<Uint8Array>, facts: BlobFacts, signal: AbortSignal): Promise<string>;
  /** Bytes `start` to `end` (both included) of a blob; null when it is not there. */
  open(key: string, range: { start: number; end: number }): Promise<Readable | null>;
}
