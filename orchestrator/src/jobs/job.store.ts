import type { Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import type { EndReason } from '@computefabric/protocol/end-reason';
import type { JobId, LeaseId, UserId } from '@computefabric/protocol/ids';
import {
  type FinalJobState,
  type HeldJobState,
  heldJobStates,
  jobMachine,
} from '@computefabric/protocol/job-state';
import { and, eq, inArray, isNull, sql } from 'drizzle-orm';

/*
 * Every change of a job's state is one guarded update: the states it may come from are in the WHERE, taken
 * from the machine, and where a lease acts the lease too. `false` or null: the caller's view was old, nothing
 * has changed.
 */

export type JobRow = typeof jobs.$inferSelect;

/** Locks the job's row for the rest of the transaction; every change of a lease takes this lock first. */
export async function lockJob(tx: Tx, jobId: JobId): Promise<JobRow | null> {
  const [row] = await tx.select().from(jobs).where(eq(jobs.id, jobId)).for('update');
  return row ?? null;
}

/** The same, for the owner's job only. */
export async function lockJobOf(tx: Tx, userId: UserId, jobId: JobId): Promise<JobRow | null> {
  const row = await lockJob(tx, jobId);
  return row && row.userId === userId ? row : null;
}

/** queued → preparing, with the lease that has been offered. */
export async function assignJob(tx: Tx, jobId: JobId, leaseId: LeaseId): Promise<{ attempt: number } | null> {
  const [row] = await tx
    .update(jobs)
    .set({ state: 'preparing', leaseId, attempts: sql`${jobs.attempts} + 1` })
    .where(and(eq(jobs.id, jobId), inArray(jobs.state, jobMachine.sourcesOf('preparing'))))
    .returning({ attempt: jobs.attempts });
  return row ?? null;
}

/** preparing → running, by the job's current lease. */
export async function startJob(tx: Tx, jobId: JobId, leaseId: LeaseId): Promise<boolean> {
  const rows = await tx
    .update(jobs)
    .set({ state: 'running', startedAt: sql`coalesce(${jobs.startedAt}, now())` })
    .where(
      and(
        eq(jobs.id, jobId),
        eq(jobs.leaseId, leaseId),
        inArray(jobs.state, jobMachine.sourcesOf('running')),
      ),
    )
    .returning({ id: jobs.id });
  return rows.length === 1;
}

/** preparing or running → finishing: the program has ended or was told to. */
export async function finishJob(tx: Tx, jobId: JobId, leaseId: LeaseId): Promise<boolean> {
  const rows = await tx
    .update(jobs)
    .set({ state: 'finishing' })
    .where(
      and(
        eq(jobs.id, jobId),
        eq(jobs.leaseId, leaseId),
        inArray(jobs.state, jobMachine.sourcesOf('finishing')),
      ),
    )
    .returning({ id: jobs.id });
  return rows.length === 1;
}

export interface Requeue {
  /** Not matched for this long. */
  backoffSeconds: number;
  /** The program failed by itself: one of the renter's retries is spent. */
  countsFailure: boolean;
  /** The program ran, so a new wait begins; one that never started still waits since it was queued. */
  ran: boolean;
  /** Of the job's time limit, ms that the try has used and is billed for. */
  spentMs: number;
}

/**
 * Back to the queue from its current lease. Tries that never started do not set the clock of the queue timeout
 * back: however often offers are refused, the job does not wait for longer than it said.
 */
export async function requeueJob(
  tx: Tx,
  jobId: JobId,
  leaseId: LeaseId,
  { backoffSeconds, countsFailure, spentMs, ran }: Requeue,
): Promise<boolean> {
  const rows = await tx
    .update(jobs)
    .set({
      state: 'queued',
      leaseId: null,
      ...(ran ? { queuedAt: sql`now()` } : {}),
      notBefore: backoffSeconds > 0 ? sql`now() + make_interval(secs => ${backoffSeconds})` : null,
      // After a failure of the program the next try has the whole time limit again: the hold covers each.
      ...(countsFailure
        ? { userFailures: sql`${jobs.userFailures} + 1`, usedMs: 0 }
        : { usedMs: sql`${jobs.usedMs} + ${spentMs}` }),
    })
    .where(
      and(eq(jobs.id, jobId), eq(jobs.leaseId, leaseId), inArray(jobs.state, jobMachine.sourcesOf('queued'))),
    )
    .returning({ id: jobs.id });
  return rows.length === 1;
}

/** Gives the job to a try of it that came back: from the queue (`from` null) or from its replacement. */
export async function reattachJob(
  tx: Tx,
  jobId: JobId,
  { from, to, state }: { from: LeaseId | null; to: LeaseId; state: HeldJobState },
): Promise<boolean> {
  const rows = await tx
    .update(jobs)
    .set({ state, leaseId: to, notBefore: null })
    .where(
      and(
        eq(jobs.id, jobId),
        from === null ? isNull(jobs.leaseId) : eq(jobs.leaseId, from),
        inArray(jobs.state, from === null ? ['queued'] : heldJobStates),
      ),
    )
    .returning({ id: jobs.id });
  return rows.length === 1;
}

/** Marks that the renter asked to stop; a repeat keeps the first moment. */
export async function requestCancel(tx: Tx, jobId: JobId): Promise<void> {
  await tx
    .update(jobs)
    .set({ cancelRequestedAt: sql`coalesce(${jobs.cancelRequestedAt}, now())` })
    .where(eq(jobs.id, jobId));
}

interface JobEnd {
  finalState: FinalJobState;
  reason: EndReason;
  detail: string | null;
  exitCode: number | null;
}

/** Any unfinished state → a final one, once and only once. */
export async function finalizeJob(tx: Tx, jobId: JobId, end: JobEnd): Promise<boolean> {
  const rows = await tx
    .update(jobs)
    .set({
      state: end.finalState,
      leaseId: null,
      endReason: end.reason,
      endDetail: end.detail,
      exitCode: end.exitCode,
      finishedAt: sql`now()`,
    })
    .where(and(eq(jobs.id, jobId), inArray(jobs.state, jobMachine.sourcesOf(end.finalState))))
    .returning({ id: jobs.id });
  return rows.length === 1;
}
