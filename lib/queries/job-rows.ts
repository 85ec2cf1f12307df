import 'server-only';

import type { Db } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import type { jobs } from '@computefabric/db/schema/jobs';
import type { leases } from '@computefabric/db/schema/leases';
import { endReasonRow } from '@computefabric/protocol/end-reason';
import type { GpuId } from '@computefabric/protocol/ids';
import { jobMachine } from '@computefabric/protocol/job-state';
import { inArray, sql } from 'drizzle-orm';
import type { JobListItem } from '@/types/job-view.ts';
import { describeGpus, describeNeeds } from '../hardware.ts';
import { readCost } from '../job-cost.ts';

export type JobRow = typeof jobs.$inferSelect;
export type LeaseRow = typeof leases.$inferSelect;

/** The card behind an id, as lists show it. */
export interface GpuFacts {
  name: string;
  simulated: boolean;
}

/** A job with its tries, oldest first, as a row of a list. */
export function toListItem(
  job: JobRow & { leases: LeaseRow[] },
  gpusById: ReadonlyMap<GpuId, GpuFacts>,
  now: Date,
): JobListItem {
  const lease = job.state === 'queued' ? undefined : job.leases.at(-1);
  const cards = (lease?.gpuIds ?? []).map((id) => gpusById.get(id)).filter((card) => card !== undefined);
  return {
    id: job.id,
    name: job.name,
    image: job.image,
    state: job.state,
    isFinal: jobMachine.isTerminal(job.state),
    isMember: job.groupId !== null,
    endSentence: job.endReason ? (job.endDetail ?? endReasonRow(job.endReason).sentence) : null,
    exitCode: job.exitCode,
    hardware: cards.length > 0 ? describeGpus(cards.map((card) => card.name)) : describeNeeds(job),
    simulated: cards.some((card) => card.simulated),
    submittedAt: job.createdAt,
    startedAt: lease?.startedAt ?? null,
    exitedAt: lease?.exitedAt ?? lease?.endedAt ?? null,
    finishedAt: job.finishedAt,
    cost: readCost(job, now),
  };
}

/** The cards that these tries took. */
export async function gpusOf(db: Db, rows: readonly LeaseRow[]): Promise<Map<GpuId, GpuFacts>> {
  const ids = [...new Set(rows.flatMap((row) => row.gpuIds))];
  if (ids.length === 0) return new Map();
  const found = await db
    .select({ id: gpus.id, name: gpus.name, simulated: gpus.simulated })
    .from(gpus)
    .where(inArray(gpus.id, ids));
  return new Map(found.map(({ id, ...facts }) => [id, facts]));
}

/** The database's clock, by which every time in it was written. */
export async function databaseNow(db: Db): Promise<Date> {
  const { rows } = await db.execute<{ ms: string }>(
    sql`select (extract(epoch from now()) * 1000)::bigint as ms`,
  );
  return new Date(Number(rows[0]?.ms));
}
