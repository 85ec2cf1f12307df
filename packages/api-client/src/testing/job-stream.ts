import type { JobEvent, JobSummary } from '@computefabric/protocol/user-api/jobs';
import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import { type RawAnswer, type SeenRequest, sendEvent, startEvents } from './fake-market.ts';

export type StreamItem =
  | { type: 'log'; data: LogEntry }
  | { type: 'job'; data: JobEvent }
  | { type: 'end'; data: JobSummary };

export interface StreamScript {
  /** What to send next: items of the stream, by their index; a function is awaited before going on. */
  steps: (StreamItem | (() => unknown))[];
  /** How many items to send on connection 1, 2, … before it is cut; connections after these are whole. */
  cutAfter?: number[];
  /** Send the item before the cursor again, as a careless server would. */
  repeats?: boolean;
}

/** A job's event stream that resumes where the client says, as the market does. */
export function jobStream(script: StreamScript): (request: SeenRequest) => RawAnswer {
  let connections = 0;
  return (request) => async (response, incoming) => {
    const limit = script.cutAfter?.[connections] ?? Number.POSITIVE_INFINITY;
    connections += 1;
    const last = cursorIndex(incoming.headers['last-event-id']) ?? cursorIndex(queryCursor(request));
    const from = Math.max(0, (last ?? -1) + (script.repeats ? 0 : 1));
    startEvents(response);
    let sent = 0;
    let index = -1;
    for (const step of script.steps) {
      if (typeof step === 'function') {
        await step();
        continue;
      }
      index += 1;
      if (index < from) continue;
      if (sent >= limit) break;
      sendEvent(response, { type: step.type, id: cursorAt(index), data: step.data });
      sent += 1;
      if (step.type === 'end') {
        response.end();
        return;
      }
    }
    if (sent >= limit) {
      // Let the bytes out first: a cut in the middle of an event is the client's to survive, not ours to lose.
      await new Promise((resolve) => response.write('id: 9.9.9\nevent: log\nda', resolve));
      response.destroy();
    }
  };
}

/** The cursor that item number `index` carries. */
export function cursorAt(index: number): string {
  return `1.${index}.0`;
}

function cursorIndex(cursor: unknown): number | undefined {
  return typeof cursor === 'string' ? Number(cursor.split('.')[1]) : undefined;
}

function queryCursor(request: SeenRequest): unknown {
  const { query } = request;
  return typeof query === 'object' && query !== null && 'cursor' in query ? query.cursor : undefined;
}
