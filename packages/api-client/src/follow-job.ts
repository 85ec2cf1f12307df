import { type JobEvent, type JobSummary, jobEvent, jobSummary } from '@computefabric/protocol/user-api/jobs';
import { type LogEntry, logEntry, streamJob } from '@computefabric/protocol/user-api/logs';
import { backoffMs } from '@computefabric/runtime/backoff';
import { pause } from '@computefabric/runtime/wait';
import { parseJson, UnreachableError } from './errors.ts';
import { parseReply } from './parse-reply.ts';
import { readServerSentEvents } from './server-sent-events.ts';
import { isPassing, type Transport } from './transport.ts';

/** `cursor` is where to go on after this item: keep it to resume in another process. */
export type FollowItem =
  | { kind: 'log'; cursor: string | undefined; entry: LogEntry }
  | { kind: 'job'; cursor: string | undefined; event: JobEvent }
  | { kind: 'end'; cursor: string | undefined; job: JobSummary };

export interface FollowOptions {
  /** Start after this place; the beginning when absent. */
  cursor?: string | undefined;
  signal?: AbortSignal | undefined;
  /** The connection broke; another try follows. Once per try. */
  onLost?: ((lost: { error: unknown; retryInMs: number }) => void) | undefined;
  /** The connection is back; nothing was missed. `downMs` is how long it was away. */
  onReconnect?: ((back: { downMs: number }) => void) | undefined;
  /** Give up when no connection came about for this long, ms. The first connection has the usual retries only. */
  giveUpAfterMs?: number | undefined;
}

/**
 * Output and events of a job from `cursor` on, in order, until it has ended: the last item is `end`.
 * A broken connection is made again from where it broke, so that there is no gap and no repeat.
 *
 * @throws ApiError when the server refuses; UnreachableError when it stays away.
 */
export async function* followJob(
  transport: Transport,
  job: string,
  options: FollowOptions = {},
): AsyncGenerator<FollowItem, void, undefined> {
  const { signal, giveUpAfterMs = 300_000 } = options;
  const seen = new Seen();
  let { cursor } = options;
  let connectedBefore = false;
  let failures = 0;
  let downSince: number | undefined; // until the next connection
  let fruitlessSince: number | undefined; // until the next message: a server may accept and close at once
  let serverRetryMs = 0;

  while (true) {
    let failure: unknown;
    try {
      const stream = await transport.open(streamJob, {
        params: { job },
        query: { cursor },
        headers: cursor === undefined ? {} : { 'last-event-id': cursor },
        signal,
      });
      connectedBefore = true;
      if (downSince !== undefined) options.onReconnect?.({ downMs: performance.now() - downSince });
      downSince = undefined;
      const connectedAt = performance.now();
      const onRetry = (ms: number) => {
        serverRetryMs = Math.min(ms, transport.retry.maxMs);
      };
      try {
        for await (const message of readServerSentEvents(stream.chunks, onRetry)) {
          failures = 0;
          fruitlessSince = undefined;
          cursor = message.id ?? cursor;
          const item = readItem(message.event, message.data, cursor, stream.url);
          if (item === null || !seen.isNew(item)) continue;
          yield item;
          if (item.kind === 'end') return;
        }
      } finally {
        // A connection that only kept quiet for a while, as a queued job's does, was a good one too.
        if (performance.now() - connectedAt > quietConnectionMs) {
          failures = 0;
          fruitlessSince = undefined;
        }
      }
      failure = new UnreachableError(stream.url, 'CLOSED', 'closed the stream before its end');
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      if (!isPassing(thrown)) throw thrown;
      failure = thrown;
    }

    downSince ??= performance.now();
    fruitlessSince ??= downSince;
    const patient = connectedBefore
      ? performance.now() - fruitlessSince < giveUpAfterMs
      : failures < transport.retry.retries;
    if (!patient) throw failure;
    const retryInMs = Math.max(serverRetryMs, backoffMs(failures, transport.retry));
    failures += 1;
    options.onLost?.({ error: failure, retryInMs });
    await pause(retryInMs, signal);
    signal?.throwIfAborted();
  }
}

/** A connection that lived this long, ms, was not closed at once. */
const quietConnectionMs = 5_000;

/** An item of a type that we know; null for the others, which a newer server may send. */
function readItem(
  type: string | undefined,
  data: string,
  cursor: string | undefined,
  url: string,
): FollowItem | null {
  const value = parseJson(data);
  if (type === 'log') return { kind: 'log', cursor, entry: parseReply(logEntry, value, url, 200) };
  if (type === 'job') return { kind: 'job', cursor, event: parseReply(jobEvent, value, url, 200) };
  if (type === 'end') return { kind: 'end', cursor, job: parseReply(jobSummary, value, url, 200) };
  return null;
}

/** Items by their own numbers: whatever a server repeats after a reconnect is not given out twice. */
class Seen {
  #attempt = 0;
  #chunk = -1;
  #event = 0;

  isNew(item: FollowItem): boolean {
    if (item.kind === 'log') {
      const { attempt, seq } = item.entry;
      if (attempt < this.#attempt || (attempt === this.#attempt && seq <= this.#chunk)) return false;
      this.#attempt = attempt;
      this.#chunk = seq;
    } else if (item.kind === 'job') {
      if (item.event.seq <= this.#event) return false;
      this.#event = item.event.seq;
    }
    return true;
  }
}
