import type { Db } from '@computefabric/db/client';
import type { JobId } from '@computefabric/protocol/ids';
import type { LeaseState } from '@computefabric/protocol/lease-state';
import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import { listLogSources, readChunks, type StoredChunk } from './run-log.store.ts';

/** A place in a job's output: the next chunk of which try. Try 0 is before the first. */
export interface LogPosition {
  attempt: number;
  nextSeq: number;
}

/**
 * Tries that may print more. A silent one may: a reader stays with it, and meets what its replacement prints when
 * it is known which of the two goes on, so that it misses nothing of either.
 */
const openStates: readonly LeaseState[] = ['offered', 'active', 'silent'];

/** Most bytes of output in one page: an answer stays small however large the chunks are. */
const pageBytes = 1_048_576;

/**
 * Output of a job from a position on: tries in their order, chunks in theirs.
 *
 * The next try is begun only when the one before was over when the tries were listed. Its output was complete
 * by then, so a reader that goes on from `position` meets every chunk exactly once.
 *
 * @param only read this try alone
 * @returns `drained`: nothing more was stored at the time; `open`: more may come (without a new try)
 */
export async function readLogs(
  db: Db,
  jobId: JobId,
  from: LogPosition,
  { limit, only }: { limit: number; only?: number },
): Promise<{ entries: LogEntry[]; position: LogPosition; drained: boolean; open: boolean }> {
  const listed = await listLogSources(db, jobId, only ?? from.attempt);
  const sources = only === undefined ? listed : listed.filter((source) => source.attempt === only);
  const entries: LogEntry[] = [];
  let position = from;
  let bytes = 0;
  for (const source of sources) {
    const open = openStates.includes(source.state);
    if (source.attempt !== position.attempt) position = { attempt: source.attempt, nextSeq: 0 };
    while (open || position.nextSeq < source.nextLogSeq) {
      const room = { limit: limit - entries.length, maxBytes: pageBytes - bytes };
      if (room.limit <= 0 || room.maxBytes <= 0) return { entries, position, drained: false, open: true };
      const chunks = await readChunks(db, source.id, position.nextSeq, room);
      const last = chunks.at(-1);
      if (!last) break;
      entries.push(...chunks.map((chunk) => toEntry(source.attempt, chunk)));
      bytes += chunks.reduce((sum, chunk) => sum + chunk.data.byteLength, 0);
      position = { attempt: source.attempt, nextSeq: last.seq + 1 };
      // Fewer than there was room for: no more was stored when they were read.
      if (chunks.length < room.limit && bytes < pageBytes) break;
    }
    if (open) return { entries, position, drained: true, open: true };
  }
  return { entries, position, drained: true, open: false };
}

// A byte-order mark is output like any other: without ignoreBOM the decoder would swallow it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function toEntry(attempt: number, { seq, stream, at, data }: StoredChunk): LogEntry {
  return { attempt, seq, stream, at: at.toISOString(), ...encode(data) };
}

/** The text itself where the bytes are UTF-8; a chunk may end inside a character or not be text at all. */
function encode(data: Uint8Array): Pick<LogEntry, 'encoding' | 'data'> {
  try {
    return { encoding: 'utf-8', data: utf8.decode(data) };
  } catch {
    return { encoding: 'base64', data: Buffer.from(data).toString('base64') }; // not UTF-8: an expected case
  }
}
