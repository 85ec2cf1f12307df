import type { Tx } from '@computefabric/db/client';
import { jobEvents } from '@computefabric/db/schema/job-events';
import { jobs } from '@computefabric/db/schema/jobs';
import type { JobId, LeaseId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { eq, sql } from 'drizzle-orm';
import { notify } from '../background/signals.ts';

interface NewJobEvent {
  jobId: JobId;
  /** One word for programs: submitted, matched, accepted, pulling, started, exited, requeued, ended, … */
  type: string;
  /** A sentence for people. */
  message: string;
  leaseId?: LeaseId | null;
  data?: Record<string, unknown>;
}

/**
 * Adds an event to a job's history, in the transaction of what it tells of. Numbering it locks the job's row,
 * so the events of one job are in the order of their transactions and have no gaps.
 */
export async function appendJobEvent(tx: Tx, event: NewJobEvent): Promise<void> {
  const [job] = await tx
    .update(jobs)
    .set({ eventSeq: sql`${jobs.eventSeq} + 1` })
    .where(eq(jobs.id, event.jobId))
    .returning({ seq: jobs.eventSeq, state: jobs.state });
  invariant(job, `an event for ${event.jobId}, which does not exist`);
  await tx.insert(jobEvents).values({
    jobId: event.jobId,
    seq: job.seq,
    type: event.type,
    message: event.message,
    state: job.state,
    leaseId: event.leaseId ?? null,
    data: event.data ?? {},
  });
  await notify(tx, 'cf_job', event.jobId);
}
