import type { JobState } from '@computefabric/protocol/job-state';

/** The chips above the list of jobs. Preparing and finishing jobs are on a machine, so they count as running. */
export const jobFilters = [
  { key: 'running', label: 'Running', states: ['preparing', 'running', 'finishing'] },
  { key: 'queued', label: 'Queued', states: ['blocked', 'queued'] },
  { key: 'succeeded', label: 'Succeeded', states: ['succeeded'] },
  { key: 'failed', label: 'Failed', states: ['failed', 'expired'] },
  { key: 'cancelled', label: 'Cancelled', states: ['cancelled'] },
] as const satisfies readonly { key: string; label: string; states: readonly JobState[] }[];

export type JobFilterKey = (typeof jobFilters)[number]['key'];

/** What the address of the list page asks for. */
export interface JobListRequest {
  filter: JobFilterKey | null;
  search: string;
  cursor: string | null;
}

type SearchParams = Record<string, string | string[] | undefined>;

/** Reads the address; whatever in it makes no sense is left out instead of refused, since people edit addresses. */
export function readJobListRequest(params: SearchParams): JobListRequest {
  const state = first(params.state);
  return {
    filter: jobFilters.find((filter) => filter.key === state)?.key ?? null,
    search: (first(params.q) ?? '').trim().slice(0, 128),
    cursor: first(params.cursor) ?? null,
  };
}

/** The address that asks for this; a part that is not set does not appear. */
export function jobListHref(request: Partial<JobListRequest>): string {
  const params = new URLSearchParams();
  if (request.filter) params.set('state', request.filter);
  if (request.search) params.set('q', request.search);
  if (request.cursor) params.set('cursor', request.cursor);
  const query = params.toString();
  return query === '' ? '/jobs' : `/jobs?${query}`;
}

/** The job states behind a chip; null for all. */
export function statesOfFilter(key: JobFilterKey | null): readonly JobState[] | null {
  return jobFilters.find((filter) => filter.key === key)?.states ?? null;
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
