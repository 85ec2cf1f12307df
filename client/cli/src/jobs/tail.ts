import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import { entryBytes } from './job-output.ts';

/**
 * The part of these pieces that holds the last `count` lines of all streams together. A last line without
 * its end counts as one. Remarks of the market are kept where they stand and count as nothing.
 */
export function lastLines(entries: readonly LogEntry[], count: number): LogEntry[] {
  const kept: LogEntry[] = [];
  let lines = 0;
  let atEnd = true; // of everything: the very last line end closes a line and does not begin one
  for (const entry of entries.toReversed()) {
    if (entry.stream === 'system') {
      if (lines < count) kept.unshift(entry);
      continue;
    }
    const bytes = entryBytes(entry);
    let start = bytes.length;
    while (start > 0) {
      if (bytes[start - 1] === 0x0a && !(atEnd && start === bytes.length)) {
        lines += 1;
        if (lines >= count) break;
      }
      start -= 1;
    }
    if (count === 0) break;
    if (bytes.length > 0) atEnd = false;
    if (start > 0) {
      if (start < bytes.length) kept.unshift(withBytes(entry, bytes.subarray(start)));
      break;
    }
    kept.unshift(entry);
  }
  return kept;
}

function withBytes(entry: LogEntry, bytes: Buffer): LogEntry {
  const { encoding } = entry;
  return { ...entry, data: bytes.toString(encoding === 'base64' ? 'base64' : 'utf8') };
}
