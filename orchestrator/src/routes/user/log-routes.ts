import * as api from '@computefabric/protocol/user-api/logs';
import { jobMachine } from '@computefabric/protocol/job-state';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { invalid } from '../../http/parse-part.ts';
import { openSse } from '../../http/sse.ts';
import { requireJob } from '../../jobs/require-job.ts';
import { readLogs } from '../../run-logs/read-logs.ts';
import { formatCursor, parseCursor, type StreamPosition, streamStart } from '../../run-logs/stream-cursor.ts';
import { streamJob } from '../../run-logs/stream-job.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** The largest number of a try that a cursor has room for; no job gets near it. */
const mostAttempts = 999_999_999;

export function logRoutes(deps: UserRouteDeps): BoundRoute[] {
  const { db, readerSlots } = deps;
  return [
    route(api.getJobLogs, async ({ caller: { userId }, params, query }) => {
      // The job's state is read before its output: a final job has no more output than is found then.
      const job = await requireJob(db, userId, params.job);
      const from = position(query.cursor, 'query');
      const only = query.attempt === undefined ? undefined : Math.min(query.attempt, mostAttempts);
      const start =
        only === undefined || only === from.log.attempt ? from.log : { attempt: only, nextSeq: 0 };
      const logs = await readLogs(db, job.id, start, {
        limit: query.limit,
        ...(only === undefined ? {} : { only }),
      });
      return {
        entries: logs.entries,
        next_cursor: formatCursor({ ...from, log: logs.position }),
        complete: logs.drained && jobMachine.isTerminal(job.state),
      };
    }),

    route(api.streamJob, async ({ caller: { userId }, params, query, request, response, signal }) => {
      const job = await requireJob(db, userId, params.job);
      const lastEventId = request.get('last-event-id');
      const from =
        lastEventId === undefined ? position(query.cursor, 'query') : position(lastEventId, 'header');
      const leave = readerSlots.take(userId);
      try {
        await streamJob(deps, job, from, openSse(response, signal), signal);
      } finally {
        leave();
      }
    }),
  ];
}

function position(text: string | undefined, part: 'query' | 'header'): StreamPosition {
  if (text === undefined || text === '') return streamStart;
  const parsed = parseCursor(text);
  if (parsed) return parsed;
  const path = part === 'query' ? 'cursor' : 'last-event-id';
  throw invalid(part, [{ path, message: 'must be a cursor as the server gave it' }]);
}
