import type { LogEntry } from '@computefabric/protocol/user-api/logs';

/**
 * Reads a `log` event of a job's stream. The stream comes from our own server, which has checked it, so this
 * looks only at what the viewer would trip over; the full schema would bring the schema library into the page.
 * Null when it is not such an event.
 */
export function readLogEntry(data: string): LogEntry | null {
  const value = parse(data);
  if (!isRecord(value)) return null;
  const { attempt, seq, stream, at, encoding, data: text } = value;
  if (typeof attempt !== 'number' || typeof seq !== 'number' || typeof text !== 'string') return null;
  if (stream !== 'stdout' && stream !== 'stderr' && stream !== 'system') return null;
  if (encoding !== 'utf-8' && encoding !== 'base64') return null;
  return { attempt, seq, stream, at: typeof at === 'string' ? at : '', encoding, data: text };
}

/** The number of a `job` event, by which a page knows whether it has shown it already; null when it has none. */
export function readEventSeq(data: string): number | null {
  const value = parse(data);
  return isRecord(value) && typeof value.seq === 'number' ? value.seq : null;
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null; // Not JSON is one way of not being an event; the callers answer null for all of them.
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
