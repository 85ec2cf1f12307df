import type { Db, Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { quotes } from '@computefabric/db/schema/quotes';
import { type JobId, newId, type QuoteId, type UserId } from '@computefabric/protocol/ids';
import type { Estimate } from '@computefabric/protocol/user-api/quotes';
import { and, desc, eq, isNotNull, isNull, sql } from 'drizzle-orm';

/** Of an account's latest jobs so many are looked through, and so many runs of the same program are taken. */
const lookedThrough = 2_000;
const mostRuns = 50;
/** A quote that no job was submitted with is removed after this long. */
const unusedHours = 1;

/**
 * How long successful runs of the same image and command took, of this renter's own jobs, latest first. Those of a
 * move count what all their tries ran for.
 */
export async function findPastRuns(
  db: Db,
  userId: UserId,
  program: { image: string; command: string | string[] | null },
): Promise<{ runSeconds: number; waitSeconds: number }[]> {
  const recent = db
    .select({ id: jobs.id })
    .from(jobs)
    .where(eq(jobs.userId, userId))
    .orderBy(desc(jobs.id))
    .limit(lookedThrough)
    .as('recent');
  const ranMs = sql<number>`(select coalesce(sum(extract(epoch from l.exited_at - l.started_at)), 0)::float8
    from ${leases} l where l.job_id = ${jobs.id} and l.billed_ms > 0)`;
  return await db
    .select({
      runSeconds: ranMs,
      waitSeconds: sql<number>`extract(epoch from ${jobs.startedAt} - ${jobs.createdAt})::float8`,
    })
    .from(jobs)
    .innerJoin(recent, eq(recent.id, jobs.id))
    .where(
      and(
        eq(jobs.state, 'succeeded'),
        isNotNull(jobs.startedAt),
        eq(jobs.image, program.image),
        sql`${jobs.command} is not distinct from ${program.command === null ? null : JSON.stringify(program.command)}::jsonb`,
      ),
    )
    .orderBy(desc(jobs.id))
    .limit(mostRuns);
}

/** Keeps what somebody was told to expect; what they were told before and never used goes. */
export async function keepQuote(
  db: Db,
  quote: { userId: UserId; specHash: string; estimate: Estimate },
): Promise<QuoteId> {
  const id = newId('quote');
  await db
    .delete(quotes)
    .where(
      and(
        eq(quotes.userId, quote.userId),
        isNull(quotes.jobId),
        sql`${quotes.createdAt} < now() - make_interval(hours => ${unusedHours})`,
      ),
    );
  await db.insert(quotes).values({ id, ...quote });
  return id;
}

/** The job was submitted with this quote. One that is gone, used, or of another job is no reason to refuse a job. */
export async function useQuote(
  tx: Tx,
  quote: { id: QuoteId; userId: UserId; specHash: string; jobId: JobId },
): Promise<void> {
  await tx
    .update(quotes)
    .set({ jobId: quote.jobId })
    .where(
      and(
        eq(quotes.id, quote.id),
        eq(quotes.userId, quote.userId),
        eq(quotes.specHash, quote.specHash),
        isNull(quotes.jobId),
      ),
    );
}

/** What was expected of a job when it was submitted; null when nobody asked. */
export async function findQuoteOf(
  db: Db,
  jobId: JobId,
): Promise<{ estimate: Estimate; createdAt: Date } | null> {
  const [row] = await db
    .select({ estimate: quotes.estimate, createdAt: quotes.createdAt })
    .from(quotes)
    .where(eq(quotes.jobId, jobId));
  return row ?? null;
}
