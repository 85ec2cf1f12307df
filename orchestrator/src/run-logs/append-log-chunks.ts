import type { Db } from '@computefabric/db/client';
import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import type { LogChunk } from '@computefabric/protocol/log-frames';
import { invariant } from '@computefabric/runtime/invariant';
import { notify } from '../background/signals.ts';
import { advanceLog, appendAtOnce, insertChunks, lockForAppend, type StoredChunk } from './run-log.store.ts';

interface AppendLogChunks {
  leaseId: LeaseId;
  providerId: ProviderId;
  fence: number;
  /** Number of the first chunk; the others count on. */
  firstSeq: number;
  chunks: readonly LogChunk[];
}

/**
 * Stores a batch of output. Chunks that are stored already are skipped, so a repeat after a lost answer is
 * harmless; a batch that would leave a gap is not stored at all. Both answer with the number from which to go
 * on. `stale`: the try has ended or is not this machine's.
 */
export async function appendLogChunks(
  db: Db,
  { chunks, firstSeq, ...claim }: AppendLogChunks,
): Promise<{ nextSeq: number } | 'stale'> {
  return await db.transaction(async (tx) => {
    const lease = await lockForAppend(tx, claim);
    if (!lease) return 'stale';
    const { nextLogSeq } = lease;
    const isGap = firstSeq > nextLogSeq;
    const fresh = isGap ? [] : chunks.slice(nextLogSeq - firstSeq);
    if (lease.state !== 'active') {
      // The answer to the last batch was lost and the try has ended since: nothing new, so nothing is wrong.
      const ended = lease.state === 'releasing' || lease.state === 'released';
      return ended && fresh.length === 0 && !isGap ? { nextSeq: nextLogSeq } : 'stale';
    }
    if (fresh.length === 0) return { nextSeq: nextLogSeq };
    const { kept, logBytes } = withinCap(fresh, lease.logBytes);
    await insertChunks(tx, claim.leaseId, kept);
    const to = nextLogSeq + fresh.length;
    const advanced = await advanceLog(tx, claim.leaseId, { from: nextLogSeq, to, logBytes });
    invariant(advanced, `the log of ${claim.leaseId} stayed at ${nextLogSeq} while it was locked`);
    await notify(tx, 'cf_job', lease.jobId);
    return { nextSeq: to };
  });
}

/** A batch of at most this many bytes and chunks is stored in one statement, which carries it as text. */
const mostAtOnce = { bytes: 65_536, chunks: 64 };

/**
 * The ordinary case, without a detour: a small batch that goes on where the try's output ends, in the machine's
 * current session. Null when it is anything else: then nothing was stored, and `appendLogChunks` says what it is.
 */
export async function appendSmallBatch(
  db: Db,
  { chunks, firstSeq, ...claim }: AppendLogChunks & { session: number },
): Promise<{ nextSeq: number } | null> {
  const bytes = chunks.reduce((sum, { data }) => sum + data.byteLength, 0);
  if (chunks.length === 0 || chunks.length > mostAtOnce.chunks || bytes > mostAtOnce.bytes) return null;
  const stored = await appendAtOnce(db, claim, {
    from: firstSeq,
    chunks: chunks.map(({ seq, stream, atMs, data }) => ({ seq, stream, at: new Date(atMs), data })),
    capBytes: limits.logBytesPerLease,
  });
  return stored ? { nextSeq: firstSeq + chunks.length } : null;
}

/** Room above the cap for remarks of the agent, so that it can still say what it dropped by itself. */
const remarkBytes = 1_048_576;

/**
 * What of the batch is kept. Agents keep to the cap by themselves; this is for those that do not. The first
 * chunk beyond it becomes a remark that says so, the rest is dropped but counted, so that numbering goes on.
 */
export function withinCap(
  chunks: readonly LogChunk[],
  bytesBefore: number,
  capBytes: number = limits.logBytesPerLease,
): { kept: StoredChunk[]; logBytes: number } {
  const kept: StoredChunk[] = [];
  let logBytes = bytesBefore;
  for (const { seq, stream, atMs, data } of chunks) {
    const before = logBytes;
    logBytes += data.byteLength;
    const at = new Date(atMs);
    if (logBytes <= capBytes + (stream === 'system' ? remarkBytes : 0)) {
      kept.push({ seq, stream, at, data });
    } else if (before <= capBytes) {
      kept.push({ seq, stream: 'system', at, data: Buffer.from(capRemark(capBytes)) });
    }
  }
  return { kept, logBytes };
}

function capRemark(capBytes: number): string {
  return `Output beyond ${capBytes} bytes is not kept.\n`;
}
