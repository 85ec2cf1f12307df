import { createHash } from 'node:crypto';
import type { Db } from '@computefabric/db/client';
import type { LeaseId } from '@computefabric/protocol/ids';
import { readChunks } from '../run-logs/run-log.store.ts';

const page = { limit: 500, maxBytes: 4_194_304 };

export interface LogHash {
  bytes: number;
  chunks: number;
  sha256: string;
}

/**
 * SHA-256 of the output of ended tries: of each, and of all one after the other. The bytes are those of the chunks in
 * the order of their numbers, of all streams, as the market keeps them. Reads a few megabytes at a time.
 */
export async function hashLogs(
  db: Db,
  leaseIds: readonly LeaseId[],
): Promise<{ tries: Map<LeaseId, LogHash>; sha256: string }> {
  const whole = createHash('sha256');
  const tries = new Map<LeaseId, LogHash>();
  for (const leaseId of leaseIds) {
    const own = createHash('sha256');
    let [bytes, chunks, nextSeq] = [0, 0, 0];
    for (;;) {
      const read = await readChunks(db, leaseId, nextSeq, page);
      const last = read.at(-1);
      if (!last) break;
      for (const { data } of read) {
        own.update(data);
        whole.update(data);
        bytes += data.byteLength;
      }
      chunks += read.length;
      nextSeq = last.seq + 1;
    }
    tries.set(leaseId, { bytes, chunks, sha256: own.digest('hex') });
  }
  return { tries, sha256: whole.digest('hex') };
}
