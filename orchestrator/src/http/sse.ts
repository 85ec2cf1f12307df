import type { Response } from 'express';

/** A client that takes nothing for this long while we wait to send is cut off; it may resume. */
const stalledMs = 60_000;

export interface SseMessage {
  event: string;
  /** Sent back by the client as Last-Event-ID when it resumes. */
  id: string;
  data: unknown;
}

/** Server-sent events on one response. */
export interface SseWriter {
  /** Sends messages; resolves when the client's connection takes more. */
  send(messages: readonly SseMessage[]): Promise<void>;
  /** A comment, which keeps proxies from closing a quiet connection. */
  heartbeat(): Promise<void>;
  end(): void;
}

/** Begins a stream of server-sent events: headers go out now, so that the client knows that it is connected. */
export function openSse(response: Response, signal: AbortSignal): SseWriter {
  response.status(200).set({
    'content-type': 'text/event-stream; charset=utf-8',
    // Proxies must neither keep nor compress nor collect it.
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  const write = (text: string): Promise<void> => {
    if (signal.aborted || response.write(text)) return Promise.resolve();
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(stalled);
        response.off('drain', go).off('close', go);
        resolve();
      };
      // Cutting it closes the response, which ends the wait and, by the signal, the stream.
      const stalled = setTimeout(() => response.destroy(), stalledMs);
      response.on('drain', go).on('close', go);
    });
  };
  return {
    send: (messages) => (messages.length === 0 ? Promise.resolve() : write(messages.map(format).join(''))),
    heartbeat: () => write(': keep-alive\n\n'),
    end: () => response.end(),
  };
}

/** JSON has no raw line breaks, so one data line is enough. */
function format({ event, id, data }: SseMessage): string {
  return `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}
