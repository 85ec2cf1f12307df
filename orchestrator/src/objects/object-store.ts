import type { Readable } from 'node:stream';
import { AppError } from '@computefabric/runtime/errors';

/** What the bytes must turn out to be. */
export interface ObjectFacts {
  /** Lower-case hex. */
  sha256: string;
  sizeBytes: number;
}

/**
 * Keeps bytes under a key: result files, chunks and manifests of checkpoints. A folder of this machine
 * (`disk-object-store.ts`) or any S3 (`s3-object-store.ts`); both pass `object-store-suite.ts`. What is stored
 * and who needs it is in the table `stored_objects`; this knows nothing of it.
 */
export interface ObjectStore {
  /**
   * Takes bytes in under a key of the form `a/b` (letters, digits, `_`, `-`); they are safe from a crash when
   * this resolves, and whoever opens the key before then finds nothing or what was there before.
   *
   * @throws AppError `artifact/hash-mismatch` when hash or size are not as announced; nothing is kept then.
   */
  put(key: string, body: AsyncIterable<Uint8Array>, facts: ObjectFacts, signal: AbortSignal): Promise<void>;
  /** Bytes `start` to `end` (both included); null when there is no such object. */
  open(key: string, range: { start: number; end: number }): Promise<Readable | null>;
  /** Removes an object; one that is not there is fine. */
  remove(key: string): Promise<void>;
}

/** Whether a text may be a key: one folder and one name, neither able to leave its place. */
export function isObjectKey(key: string): boolean {
  return /^[A-Za-z0-9_-]{1,128}\/[A-Za-z0-9_-]{1,128}$/.test(key);
}

export function mismatch(what: string): AppError {
  return new AppError('artifact/hash-mismatch', { message: `The bytes received are ${what}.` });
}
