import 'server-only';

import type { Db } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { providers } from '@computefabric/db/schema/providers';
import { endReasonRow } from '@computefabric/protocol/end-reason';
import { and, asc, desc, eq, gt, inArray, sql } from 'drizzle-orm';
import type { AttentionItem, Viewer } from '@/types/market-view.ts';

/** More of one kind would push the other kinds out of sight; the lists behind the links have them all. */
const mostOfOneKind = 3;

/** What a person should look at: jobs that failed or wait long, machines that are gone. */
export async function listAttention(db: Db, viewer: Viewer): Promise<AttentionItem[]> {
  const kinds = await Promise.all([
    failedJobs(db, viewer),
    longWaits(db, viewer),
    missingMachines(db, viewer),
  ]);
  return kinds.flat();
}

async function failedJobs(db: Db, viewer: Viewer): Promise<AttentionItem[]> {
  const rows = await db
    .select()
    .from(jobs)
    .where(
      and(
        eq(jobs.userId, viewer.userId),
        inArray(jobs.state, ['failed', 'expired']),
        gt(jobs.finishedAt, sql`now() - interval '24 hours'`),
      ),
    )
    .orderBy(desc(jobs.finishedAt))
    .limit(mostOfOneKind);
  return rows.map((job) => ({
    key: job.id,
    tone: 'danger',
    title: job.state === 'failed' ? `${job.name} failed` : `${job.name} expired`,
    detail: job.endReason ? (job.endDetail ?? endReasonRow(job.endReason).sentence) : '',
    href: `/jobs/${job.id}`,
  }));
}

async function longWaits(db: Db, viewer: Viewer): Promise<AttentionItem[]> {
  const rows = await db
    .select()
    .from(jobs)
    .where(
      and(
        eq(jobs.userId, viewer.userId),
        eq(jobs.state, 'queued'),
        sql`${jobs.queuedAt} < now() - interval '10 minutes'`,
      ),
    )
    .orderBy(asc(jobs.queuedAt))
    .limit(mostOfOneKind);
  return rows.map((job) => ({
    key: job.id,
    tone: 'attention',
    title: `${job.name} has been waiting for more than ten minutes`,
    detail: 'Its page says which machines do not fit, and what would change that.',
    href: `/jobs/${job.id}`,
  }));
}

async function missingMachines(db: Db, viewer: Viewer): Promise<AttentionItem[]> {
  const rows = await db
    .select()
    .from(providers)
    .where(and(eq(providers.ownerId, viewer.userId), inArray(providers.state, ['offline', 'suspended'])))
    .orderBy(desc(providers.lastSeenAt))
    .limit(mostOfOneKind);
  return rows.map((machine) => ({
    key: machine.id,
    tone: machine.state === 'suspended' ? 'danger' : 'attention',
    title: `Machine ${machine.name} is ${machine.state}`,
    detail:
      machine.state === 'suspended'
        ? 'The operator of this market keeps it out.'
        : 'It gets no jobs and earns nothing until its agent is back.',
    href: '/gpu-owners',
  }));
}
