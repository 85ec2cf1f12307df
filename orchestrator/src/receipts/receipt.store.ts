import type { Db } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { ledgerTransfers } from '@computefabric/db/schema/ledger-transfers';
import { payments } from '@computefabric/db/schema/payments';
import { providers } from '@computefabric/db/schema/providers';
import { receipts } from '@computefabric/db/schema/receipts';
import type { EndReason } from '@computefabric/protocol/end-reason';
import type { GpuId, GroupId, JobId } from '@computefabric/protocol/ids';
import type { JobState } from '@computefabric/protocol/job-state';
import { and, asc, desc, eq, inArray, isNotNull, sql } from 'drizzle-orm';

/** The payment of a job. */
export async function findPayment(db: Db, jobId: JobId) {
  const [row] = await db.select().from(payments).where(eq(payments.jobId, jobId));
  return row ?? null;
}

/** Every transfer of the job in the books, oldest first. */
export async function listTransfersOf(db: Db, jobId: JobId) {
  return await db
    .select({
      id: ledgerTransfers.id,
      kind: ledgerTransfers.kind,
      amountMicros: ledgerTransfers.amountMicros,
      createdAt: ledgerTransfers.createdAt,
    })
    .from(ledgerTransfers)
    .where(eq(ledgerTransfers.jobId, jobId))
    .orderBy(asc(ledgerTransfers.createdAt), asc(ledgerTransfers.id));
}

/** The ended tries of a job, oldest first, each with its machine's name. */
export async function listEndedTries(db: Db, jobId: JobId) {
  return await db
    .select({ lease: leases, machineName: providers.name })
    .from(leases)
    .innerJoin(providers, eq(providers.id, leases.providerId))
    .where(and(eq(leases.jobId, jobId), isNotNull(leases.endedAt)))
    .orderBy(asc(leases.attempt));
}

/** What these cards are, also those that their machine no longer has. */
export async function listCards(db: Db, ids: readonly GpuId[]) {
  if (ids.length === 0) return [];
  return await db
    .select({ id: gpus.id, uuid: gpus.uuid, name: gpus.name, simulated: gpus.simulated })
    .from(gpus)
    .where(inArray(gpus.id, [...new Set(ids)]));
}

/** The latest receipt that was given out for a job. */
export async function findLatest(db: Db, jobId: JobId): Promise<{ number: number; document: string } | null> {
  const [row] = await db
    .select({ number: receipts.number, document: receipts.document })
    .from(receipts)
    .where(eq(receipts.jobId, jobId))
    .orderBy(desc(receipts.number))
    .limit(1);
  return row ?? null;
}

/** Writes a receipt down; false when another of this number has been meanwhile. */
export async function insertReceipt(db: Db, row: typeof receipts.$inferInsert): Promise<boolean> {
  const rows = await db
    .insert(receipts)
    .values(row)
    .onConflictDoNothing()
    .returning({ number: receipts.number });
  return rows.length === 1;
}

/** One line of a group's bill. */
export interface MemberBill {
  index: number;
  jobId: JobId;
  name: string;
  state: JobState;
  endReason: EndReason | null;
  tries: number;
  billedMs: number;
  holdMicros: bigint;
  costMicros: bigint;
  earnedMicros: bigint;
  refundedMicros: bigint;
  releasedMicros: bigint;
  /** Not settled yet. */
  pending: boolean;
}

/** What each member of a group came to, by its place. */
export async function listMemberBills(db: Db, groupId: GroupId): Promise<MemberBill[]> {
  const billed = db.$with('billed').as(
    db
      .select({
        jobId: leases.jobId,
        tries: sql<number>`count(*)::int`.as('tries'),
        billedMs: sql<string>`coalesce(sum(${leases.billedMs}), 0)`.as('billed_ms'),
        costMicros: sql<string>`coalesce(sum(${leases.costMicros}), 0)`.as('cost_micros'),
        earnedMicros: sql<string>`coalesce(sum(${leases.earnedMicros}), 0)`.as('earned_micros'),
      })
      .from(leases)
      .innerJoin(jobs, eq(jobs.id, leases.jobId))
      .where(and(eq(jobs.groupId, groupId), isNotNull(leases.startedAt)))
      .groupBy(leases.jobId),
  );
  const moved = db.$with('moved').as(
    db
      .select({
        jobId: ledgerTransfers.jobId,
        refunded:
          sql<string>`coalesce(sum(${ledgerTransfers.amountMicros}) filter (where ${ledgerTransfers.kind} = 'refund'), 0)`.as(
            'refunded',
          ),
        released:
          sql<string>`coalesce(sum(${ledgerTransfers.amountMicros}) filter (where ${ledgerTransfers.kind} = 'release'), 0)`.as(
            'released',
          ),
      })
      .from(ledgerTransfers)
      .innerJoin(jobs, eq(jobs.id, ledgerTransfers.jobId))
      .where(eq(jobs.groupId, groupId))
      .groupBy(ledgerTransfers.jobId),
  );
  const rows = await db
    .with(billed, moved)
    .select({
      index: jobs.groupIndex,
      jobId: jobs.id,
      name: jobs.name,
      state: jobs.state,
      endReason: jobs.endReason,
      holdMicros: jobs.holdMicros,
      tries: billed.tries,
      billedMs: billed.billedMs,
      costMicros: billed.costMicros,
      earnedMicros: billed.earnedMicros,
      refunded: moved.refunded,
      released: moved.released,
      settledAt: payments.settledAt,
    })
    .from(jobs)
    .leftJoin(billed, eq(billed.jobId, jobs.id))
    .leftJoin(moved, eq(moved.jobId, jobs.id))
    .leftJoin(payments, eq(payments.jobId, jobs.id))
    .where(eq(jobs.groupId, groupId))
    .orderBy(asc(jobs.groupIndex));
  return rows.map((row) => ({
    index: row.index ?? 0,
    jobId: row.jobId,
    name: row.name,
    state: row.state,
    endReason: row.endReason,
    tries: row.tries ?? 0,
    billedMs: Number(row.billedMs ?? 0),
    holdMicros: row.holdMicros,
    costMicros: BigInt(row.costMicros ?? 0),
    earnedMicros: BigInt(row.earnedMicros ?? 0),
    refundedMicros: BigInt(row.refunded ?? 0),
    releasedMicros: BigInt(row.released ?? 0),
    pending: row.settledAt === null,
  }));
}
