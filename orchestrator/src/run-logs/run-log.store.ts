import type { Db, Tx } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import { logChunks } from '@computefabric/db/schema/log-chunks';
import type { JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { LeaseState } from '@computefabric/protocol/lease-state';
import type { LogStream } from '@computefabric/protocol/log-frames';
import { and, asc, eq, gte, sql } from 'drizzle-orm';

/** Locks the try for an append, if it was given to this machine under this fence. */
export async function lockForAppend(
  tx: Tx,
  claim: { leaseId: LeaseId; providerId: ProviderId; fence: number },
): Promise<{ jobId: JobId; state: LeaseState; nextLogSeq: number; logBytes: number } | null> {
  const [row] = await tx
    .select({
      jobId: leases.jobId,
      state: leases.state,
      nextLogSeq: leases.nextLogSeq,
      logBytes: leases.logBytes,
    })
    .from(leases)
    .where(
      and(
        eq(leases.id, claim.leaseId),
        eq(leases.providerId, claim.providerId),
        eq(leases.fence, claim.fence),
      ),
    )
    .for('no key update');
  return row ?? null;
}

export interface StoredChunk {
  seq: number;
  stream: LogStream;
  at: Date;
  data: Uint8Array;
}

export async function insertChunks(tx: Tx, leaseId: LeaseId, chunks: readonly StoredChunk[]): Promise<void> {
  if (chunks.length === 0) return;
  await tx.insert(logChunks).values(chunks.map((chunk) => ({ leaseId, ...chunk })));
}

/** Moves the end of a try's output on; false when it is not at `from` any more or the try has ended. */
export async function advanceLog(
  tx: Tx,
  leaseId: LeaseId,
  log: { from: number; to: number; logBytes: number },
): Promise<boolean> {
  const rows = await tx
    .update(leases)
    .set({ nextLogSeq: log.to, logBytes: log.logBytes })
    .where(and(eq(leases.id, leaseId), eq(leases.state, 'active'), eq(leases.nextLogSeq, log.from)))
    .returning({ id: leases.id });
  return rows.length === 1;
}

/**
 * Stores a batch that continues a try's output, and moves its end on, in one statement. Only for a call of the
 * machine's current session, about an active try whose output ends just there and stays below `capBytes`. False:
 * it is none of these, and nothing was stored.
 */
export async function appendAtOnce(
  db: Db,
  claim: { leaseId: LeaseId; providerId: ProviderId; fence: number; session: number },
  { from, chunks, capBytes }: { from: number; chunks: readonly StoredChunk[]; capBytes: number },
): Promise<boolean> {
  const bytes = chunks.reduce((sum, { data }) => sum + data.byteLength, 0);
  const asBuffer = ({ data }: StoredChunk) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const { rows } = await db.execute(sql`
    with claimed as materialized (
      select l.id from leases l join providers p on p.id = l.provider_id
      where l.id = ${claim.leaseId} and l.provider_id = ${claim.providerId} and l.fence = ${claim.fence}
        and p.session = ${claim.session} and l.state = 'active' and l.expires_at > now()
        and l.next_log_seq = ${from} and l.log_bytes + ${bytes} <= ${capBytes}
      for no key update of l
    ), stored as (
      insert into log_chunks (lease_id, seq, stream, at, data)
      select claimed.id, chunk.seq, chunk.stream, chunk.at, chunk.data
      from claimed, unnest(${sql.param(chunks.map(({ seq }) => seq))}::int[],
        ${sql.param(chunks.map(({ stream }) => stream))}::text[],
        ${sql.param(chunks.map(({ at }) => at.toISOString()))}::timestamptz[],
        ${sql.param(chunks.map(asBuffer))}::bytea[]) as chunk (seq, stream, at, data)
    ), moved as (
      update leases set next_log_seq = ${from + chunks.length}, log_bytes = log_bytes + ${bytes}
      from claimed where leases.id = claimed.id
      returning leases.job_id
    )
    select pg_notify('cf_job', job_id) from moved`);
  return rows.length === 1;
}

/** The tries of a job from one attempt on, oldest first: whose output it is and where that ends. */
export async function listLogSources(db: Db, jobId: JobId, fromAttempt: number) {
  return await db
    .select({ id: leases.id, attempt: leases.attempt, state: leases.state, nextLogSeq: leases.nextLogSeq })
    .from(leases)
    .where(and(eq(leases.jobId, jobId), gte(leases.attempt, fromAttempt)))
    .orderBy(asc(leases.attempt));
}

/** Output of a try from one chunk on: at most `limit` chunks and, beyond the first, `maxBytes` bytes. */
export async function readChunks(
  db: Db,
  leaseId: LeaseId,
  fromSeq: number,
  { limit, maxBytes }: { limit: number; maxBytes: number },
): Promise<StoredChunk[]> {
  const bytesBefore = sql<number>`sum(octet_length(${logChunks.data})) over (order by ${logChunks.seq})
    - octet_length(${logChunks.data})`.as('bytes_before');
  const page = db
    .select({
      seq: logChunks.seq,
      stream: logChunks.stream,
      at: logChunks.at,
      data: logChunks.data,
      bytesBefore,
    })
    .from(logChunks)
    .where(and(eq(logChunks.leaseId, leaseId), gte(logChunks.seq, fromSeq)))
    .orderBy(asc(logChunks.seq))
    .limit(limit)
    .as('page');
  return await db
    .select({ seq: page.seq, stream: page.stream, at: page.at, data: page.data })
    .from(page)
    .where(sql`${page.bytesBefore} < ${maxBytes}`)
    .orderBy(asc(page.seq));
}
