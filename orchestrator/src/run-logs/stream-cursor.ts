import { limits } from '@computefabric/protocol/limits';
import { streamCursor } from '@computefabric/protocol/user-api/logs';
import type { LogPosition } from './read-logs.ts';

/** A place in a job's stream: its output and its events. */
export interface StreamPosition {
  log: LogPosition;
  /** Number of the last event seen. */
  lastEvent: number;
}

export const streamStart: StreamPosition = { log: { attempt: 0, nextSeq: 0 }, lastEvent: 0 };

export function formatCursor({ log, lastEvent }: StreamPosition): string {
  return `${log.attempt}.${log.nextSeq}.${lastEvent}`;
}

/** Null when the text is not a cursor, or one with numbers that no stream reaches. */
export function parseCursor(text: string): StreamPosition | null {
  if (!streamCursor.safeParse(text).success) return null;
  const [attempt = 0, nextSeq = 0, lastEvent = 0] = text.split('.').map(Number);
  if (Math.max(attempt, nextSeq, lastEvent) > limits.int32.max) return null;
  return { log: { attempt, nextSeq }, lastEvent };
}
