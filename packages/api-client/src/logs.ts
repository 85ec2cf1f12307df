import { getJobLogs } from '@computefabric/protocol/user-api/logs';
import type { CallOptions, Transport } from './transport.ts';

export interface LogPageQuery {
  cursor?: string | undefined;
  /** Entries, 1 to 1000. */
  limit?: number | undefined;
  /** Only this try. */
  attempt?: number | undefined;
}

export function logCalls(transport: Transport) {
  return {
    /** One page of a job's output; go on with `next_cursor`. */
    page: (job: string, query: LogPageQuery = {}, options: CallOptions = {}) =>
      transport.call(getJobLogs, { params: { job }, query, ...options }),
    /** All output there is now, page after page. */
    all: (job: string, query: LogPageQuery = {}, options: CallOptions = {}) =>
      allPages(transport, job, query, options),
  };
}

async function* allPages(transport: Transport, job: string, query: LogPageQuery, options: CallOptions) {
  let { cursor } = query;
  while (true) {
    const page = await transport.call(getJobLogs, {
      params: { job },
      query: { limit: 1_000, ...query, cursor },
      ...options,
    });
    yield page;
    // A page without entries is the end, whatever it says about completeness: nothing would come of asking on.
    if (page.complete || page.entries.length === 0 || page.next_cursor === cursor) return;
    cursor = page.next_cursor;
  }
}
