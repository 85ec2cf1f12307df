import type { Db } from '@computefabric/db/client';
import type { JobId, UserId } from '@computefabric/protocol/ids';
import { jobMachine } from '@computefabric/protocol/job-state';
import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import { invariant } from '@computefabric/runtime/invariant';
import { pause } from '@computefabric/runtime/wait';
import type { Signals } from '../background/signals.ts';
import type { SseMessage, SseWriter } from '../http/sse.ts';
import { type JobEventRow, jobOf, readNews } from '../jobs/job-reads.store.ts';
import { type ViewSettings, viewEvent, viewJobs } from '../jobs/job-view.ts';
import { readLogs } from './read-logs.ts';
import { formatCursor, type StreamPosition } from './stream-cursor.ts';

interface StreamDeps {
  db: Db;
  signals: Signals;
  view: ViewSettings;
}

/**
 * Longest silence on a stream: then a comment is sent. The tables are looked at again too, as a safety net
 * under the signals, which alone carry the news in the ordinary case.
 */
const quietMs = 15_000;
/** Events and chunks read at once. */
const page = 500;

/**
 * Sends a job's output and events from a position on, then follows until the job is final and everything of
 * it was sent. Each message's id is the position behind it, so a client that comes back with the last id it
 * saw misses nothing and gets nothing twice.
 */
export async function streamJob(
  { db, signals, view }: StreamDeps,
  job: { id: JobId; userId: UserId },
  from: StreamPosition,
  sse: SseWriter,
  signal: AbortSignal,
): Promise<void> {
  let wake = new AbortController();
  const off = signals.onId('cf_job', job.id, () => wake.abort());
  const stop = () => wake.abort();
  signal.addEventListener('abort', stop, { once: true });
  try {
    let position = from;
    while (!signal.aborted) {
      wake = new AbortController(); // what happens from here on is either read below or wakes us
      const round = await readRound(db, job.id, position);
      await sse.send(round.messages);
      position = round.position;
      if (round.more) continue;
      if (round.final) {
        const row = await jobOf(db, job.userId, job.id);
        invariant(row, `job ${job.id} is still there while it is streamed`);
        const [summary] = await viewJobs(db, view, [row]);
        await sse.send([{ event: 'end', id: formatCursor(position), data: summary }]);
        sse.end();
        return;
      }
      await pause(quietMs, wake.signal);
      if (!wake.signal.aborted) await sse.heartbeat();
    }
  } finally {
    off();
    signal.removeEventListener('abort', stop);
  }
}

/** What is there now behind a position, in the order in which it makes sense to a reader. */
async function readRound(db: Db, id: JobId, from: StreamPosition) {
  // Read before the output: a final job has no more of it, and an end has no more before it, than we find below.
  const { state, events } = await readNews(db, id, from.lastEvent, page);
  const logs = await readLogs(db, id, from.log, { limit: page });
  let position = from;
  const messages: SseMessage[] = [];
  const sendEvent = (event: JobEventRow) => {
    position = { ...position, lastEvent: event.seq };
    messages.push({ event: 'job', id: formatCursor(position), data: viewEvent(event) });
  };
  const sendLog = (entry: LogEntry) => {
    position = { ...position, log: { attempt: entry.attempt, nextSeq: entry.seq + 1 } };
    messages.push({ event: 'log', id: formatCursor(position), data: entry });
  };
  // "Started" before the output and "ended" behind it. While output is left the ends wait for the next round.
  const endsAt = events.findIndex(closesOutput);
  const beginnings = endsAt === -1 ? events : events.slice(0, endsAt);
  const ends = endsAt === -1 || !logs.drained ? [] : events.slice(endsAt);
  beginnings.forEach(sendEvent);
  logs.entries.forEach(sendLog);
  position = { ...position, log: logs.position };
  ends.forEach(sendEvent);
  return {
    messages,
    position,
    final: jobMachine.isTerminal(state),
    more: !logs.drained || events.length === page,
  };
}

/** An event that belongs behind the output stored so far: the program's end, a stop, another try, the job's end. */
function closesOutput({ type, state }: JobEventRow): boolean {
  if (type === 'submitted') return false;
  return jobMachine.isTerminal(state) || state === 'finishing' || state === 'queued';
}
