import 'server-only';

import type { Db } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { type GroupId, jobId } from '@computefabric/protocol/ids';
import { and, asc, desc, eq, gt, ilike, inArray, isNull, lt, or } from 'drizzle-orm';
import type { JobListPage } from '@/types/job-view.ts';
import type { Viewer } from '@/types/market-view.ts';
import { type JobListRequest, statesOfFilter } from '../job-filter.ts';
import { databaseNow, gpusOf, toListItem } from './job-rows.ts';

const pageSize = 25;

/** A page of the viewer's jobs, newest first. Ids are ordered by time, so the last id of a page is its cursor. */
export async function listJobs(
  db: Db,
  viewer: Viewer,
  request: JobListRequest,
  limit = pageSize,
): Promise<JobListPage & { now: Date }> {
  const states = statesOfFilter(request.filter);
  const cursor = jobId.safeParse(request.cursor);
  const pattern = `%${request.search.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
  const [now, rows] = await Promise.all([
    databaseNow(db),
    db.query.jobs.findMany({
      where: and(
        eq(jobs.userId, viewer.userId),
        states ? inArray(jobs.state, [...states]) : undefined,
        cursor.success ? lt(jobs.id, cursor.data) : undefined,
        // Members of groups stand under their group; who looks for something looks among them too.
        states || request.search !== '' ? undefined : isNull(jobs.groupId),
        request.search === ''
          ? undefined
          : or(ilike(jobs.name, pattern), ilike(jobs.id, pattern), ilike(jobs.image, pattern)),
      ),
      orderBy: desc(jobs.id),
      limit: limit + 1,
      with: { leases: { orderBy: asc(leases.attempt) } },
    }),
  ]);
  return await toPage(db, rows, limit, now);
}

/** A page of a group's members by index: ids of members are in that order. */
export async function listMembers(
  db: Db,
  viewer: Viewer,
  groupId: GroupId,
  after: string | null,
  limit = pageSize,
): Promise<JobListPage & { now: Date }> {
  const cursor = jobId.safeParse(after);
  const [now, rows] = await Promise.all([
    databaseNow(db),
    db.query.jobs.findMany({
      where: and(
        eq(jobs.userId, viewer.userId),
        eq(jobs.groupId, groupId),
        cursor.success ? gt(jobs.id, cursor.data) : undefined,
      ),
      orderBy: asc(jobs.id),
      limit: limit + 1,
      with: { leases: { orderBy: asc(leases.attempt) } },
    }),
  ]);
  return await toPage(db, rows, limit, now);
}

/** A page out of rows that were read with one more than the limit, which tells whether there is a next one. */
async function toPage(
  db: Db,
  rows: readonly Parameters<typeof toListItem>[0][],
  limit: number,
  now: Date,
): Promise<JobListPage & { now: Date }> {
  const shown = rows.slice(0, limit);
  const gpusById = await gpusOf(
    db,
    shown.flatMap((row) => row.leases),
  );
  const items = shown.map((row) => toListItem(row, gpusById, now));
  return {
    now,
    jobs: items,
    nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null,
    hasUnfinished: items.some((job) => !job.isFinal),
  };
}
