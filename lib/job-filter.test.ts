import { jobStates } from '@computefabric/protocol/job-state';
import { describe, expect, it } from 'vitest';
import { jobFilters, jobListHref, readJobListRequest } from './job-filter.ts';

describe('the filters of the job list', () => {
  it('put every job state behind exactly one chip', () => {
    const covered = jobFilters.flatMap((filter): string[] => [...filter.states]);
    expect(covered.toSorted()).toEqual([...jobStates].toSorted());
  });

  it('survive the way through the address', () => {
    const request = { filter: 'failed' as const, search: 'a&b=c', cursor: 'job_1' };
    const params = Object.fromEntries(new URL(jobListHref(request), 'http://x').searchParams);
    expect(readJobListRequest(params)).toEqual(request);
  });

  it('leave what they do not set out of the address', () => {
    expect(jobListHref({ filter: null, search: '', cursor: null })).toBe('/jobs');
  });

  it('ignore an unknown state and repeated values', () => {
    expect(readJobListRequest({ state: 'exploded', q: ['first', 'second'] })).toEqual({
      filter: null,
      search: 'first',
      cursor: null,
    });
  });
});
