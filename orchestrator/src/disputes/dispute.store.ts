import type { Db, Tx } from '@computefabric/db/client';
import { artifacts } from '@computefabric/db/schema/artifacts';
import { disputeDecisions } from '@computefabric/db/schema/dispute-decisions';
import { disputes } from '@computefabric/db/schema/disputes';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { ledgerAccounts } from '@computefabric/db/schema/ledger-accounts';
import { payments } from '@computefabric/db/schema/payments';
import { providers } from '@computefabric/db/schema/providers';
import { type DisputeOutcome, type DisputeState, disputeMachine } from '@computefabric/protocol/dispute';
import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import type { DisputeId, JobId, LeaseId, PaymentId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { paymentMachine, type PaymentState } from '@computefabric/protocol/payment-state';
import { and, asc, desc, eq, exists, gt, inArray, lt, sql } from 'drizzle-orm';
import type { DisputedTry } from './dispute-rules.ts';

export type DisputeRow = typeof disputes.$inferSelect;
export type DecisionRow = typeof disputeDecisions.$inferSelect;

const spoiledReasons = endReasonCodes.filter((reason) => endReasonRow(reason).spoils);

/** Ended tries of a job with what our records say of their machines, within a day of each. */
export async function findDisputedTries(db: Db, job: { id: JobId; userId: UserId }): Promise<DisputedTry[]> {
  const spoiled = (what: string) => sql<number>`(select count(${sql.raw(what)})::int from leases other
    join jobs j on j.id = other.job_id
    where other.provider_id = ${leases.providerId} and j.user_id <> ${job.userId}
      and other.end_reason = any(${sql.param(spoiledReasons)}::text[])
      and other.ended_at between ${leases.endedAt} - interval '1 day' and ${leases.endedAt} + interval '1 day')`;
  const rows = await db
    .select({
      leaseId: leases.id,
      providerId: leases.providerId,
      endReason: leases.endReason,
      exitCode: leases.exitCode,
      billedMs: leases.billedMs,
      costMicros: leases.costMicros,
      machineState: providers.state,
      othersSpoiled: spoiled('*'),
      otherRentersSpoiled: spoiled('distinct j.user_id'),
    })
    .from(leases)
    .innerJoin(providers, eq(providers.id, leases.providerId))
    .where(eq(leases.jobId, job.id))
    .orderBy(asc(leases.attempt));
  return rows.flatMap(({ endReason, machineState, ...row }) =>
    endReason === null ? [] : [{ ...row, endReason, machineSuspended: machineState === 'suspended' }],
  );
}

/** Result files of a job and where their bytes are. */
export async function listStoredResults(db: Db, jobId: JobId) {
  return await db
    .select({
      path: artifacts.path,
      sha256: artifacts.sha256,
      sizeBytes: artifacts.sizeBytes,
      key: artifacts.blobKey,
    })
    .from(artifacts)
    .where(eq(artifacts.jobId, jobId))
    .orderBy(asc(artifacts.path));
}

/** Locks the payment of a job for the rest of the transaction. */
export async function lockPayment(tx: Tx, jobId: JobId) {
  const [row] = await tx.select().from(payments).where(eq(payments.jobId, jobId)).for('update');
  return row ?? null;
}

/** Moves a payment on; false when its state does not allow it. */
export async function movePayment(tx: Tx, id: PaymentId, state: PaymentState): Promise<boolean> {
  const rows = await tx
    .update(payments)
    .set({ state })
    .where(and(eq(payments.id, id), inArray(payments.state, paymentMachine.sourcesOf(state))))
    .returning({ id: payments.id });
  return rows.length === 1;
}

/** Whether it is longer than this since the job ended, by the database's clock. */
export async function isOlderThan(tx: Tx, jobId: JobId, days: number): Promise<boolean> {
  const rows = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(and(eq(jobs.id, jobId), sql`${jobs.finishedAt} < now() - make_interval(days => ${days})`));
  return rows.length === 1;
}

/** Opens a dispute; null when the job is contested already. */
export async function insertDispute(
  tx: Tx,
  row: Omit<typeof disputes.$inferInsert, 'state'>,
): Promise<DisputeRow | null> {
  const [inserted] = await tx
    .insert(disputes)
    .values(row)
    .onConflictDoNothing({ target: disputes.jobId })
    .returning();
  return inserted ?? null;
}

export async function findDispute(db: Db | Tx, id: DisputeId): Promise<DisputeRow | null> {
  const [row] = await db.select().from(disputes).where(eq(disputes.id, id));
  return row ?? null;
}

export async function findDisputeOfJob(db: Db | Tx, jobId: JobId): Promise<DisputeRow | null> {
  const [row] = await db.select().from(disputes).where(eq(disputes.jobId, jobId));
  return row ?? null;
}

/** open → decided, or denied → granted; null when it was decided otherwise meanwhile. */
export async function moveDispute(
  tx: Tx,
  id: DisputeId,
  to: DisputeOutcome,
  refundMicros: bigint,
): Promise<DisputeRow | null> {
  const [row] = await tx
    .update(disputes)
    .set({ state: to, refundMicros, decidedAt: sql`now()` })
    .where(and(eq(disputes.id, id), inArray(disputes.state, disputeMachine.sourcesOf(to))))
    .returning();
  return row ?? null;
}

/** Adds a decision to the record; the dispute's row is locked by its change. */
export async function insertDecision(
  tx: Tx,
  row: Omit<typeof disputeDecisions.$inferInsert, 'seq'>,
): Promise<void> {
  const [last] = await tx
    .select({ seq: sql<number>`coalesce(max(${disputeDecisions.seq}), 0)::int` })
    .from(disputeDecisions)
    .where(eq(disputeDecisions.disputeId, row.disputeId));
  await tx.insert(disputeDecisions).values({ ...row, seq: (last?.seq ?? 0) + 1 });
}

/** Decisions about these disputes, each one's in order. */
export async function listDecisions(db: Db | Tx, ids: readonly DisputeId[]): Promise<DecisionRow[]> {
  if (ids.length === 0) return [];
  return await db
    .select()
    .from(disputeDecisions)
    .where(inArray(disputeDecisions.disputeId, [...ids]))
    .orderBy(asc(disputeDecisions.disputeId), asc(disputeDecisions.seq));
}

/** What the tries of a job cost, and who earned from them. */
export async function listPaidTries(tx: Tx, jobId: JobId) {
  return await tx
    .select({
      leaseId: leases.id,
      providerId: leases.providerId,
      ownerId: providers.ownerId,
      costMicros: leases.costMicros,
      earnedMicros: leases.earnedMicros,
    })
    .from(leases)
    .innerJoin(providers, eq(providers.id, leases.providerId))
    .where(and(eq(leases.jobId, jobId), gt(leases.costMicros, 0n)))
    .orderBy(asc(leases.attempt));
}

export interface DisputeFilter {
  /** Whose: of this renter's jobs, about this owner's machines, or everybody's. */
  of: { renter: UserId } | { owner: UserId } | 'all';
  limit: number;
  before: DisputeId | undefined;
  state: DisputeState | undefined;
}

/** Disputes, newest first. */
export async function listDisputesOf(
  db: Db,
  { of, limit, before, state }: DisputeFilter,
): Promise<DisputeRow[]> {
  const whose =
    of === 'all'
      ? undefined
      : 'renter' in of
        ? eq(disputes.userId, of.renter)
        : exists(
            db
              .select({ id: leases.id })
              .from(leases)
              .innerJoin(providers, eq(providers.id, leases.providerId))
              .where(
                and(
                  eq(leases.jobId, disputes.jobId),
                  eq(providers.ownerId, of.owner),
                  gt(leases.costMicros, 0n),
                ),
              ),
          );
  return await db
    .select()
    .from(disputes)
    .where(
      and(
        whose,
        before === undefined ? undefined : lt(disputes.id, before),
        state === undefined ? undefined : eq(disputes.state, state),
      ),
    )
    .orderBy(desc(disputes.id))
    .limit(limit);
}

/** Names of these jobs, and the machines that were paid for them. */
export async function describeJobs(
  db: Db | Tx,
  ids: readonly JobId[],
): Promise<Map<JobId, { name: string; machines: { id: ProviderId; ownerId: UserId }[] }>> {
  const found = new Map<JobId, { name: string; machines: { id: ProviderId; ownerId: UserId }[] }>();
  if (ids.length === 0) return found;
  const rows = await db
    .select({ id: jobs.id, name: jobs.name, providerId: providers.id, ownerId: providers.ownerId })
    .from(jobs)
    .leftJoin(leases, and(eq(leases.jobId, jobs.id), gt(leases.costMicros, 0n)))
    .leftJoin(providers, eq(providers.id, leases.providerId))
    .where(inArray(jobs.id, [...ids]));
  for (const row of rows) {
    const one = found.get(row.id) ?? { name: row.name, machines: [] };
    found.set(row.id, one);
    const { providerId, ownerId } = row;
    if (providerId && ownerId && !one.machines.some(({ id }) => id === providerId)) {
      one.machines.push({ id: providerId, ownerId });
    }
  }
  return found;
}

/** Owners who owe the market something and have earned since; few at any time. */
export async function findPayableDebts(
  db: Db,
  limit: number,
): Promise<{ ownerId: UserId; debtMicros: bigint; payableMicros: bigint; paidBefore: bigint }[]> {
  const { rows } = await db.execute<Record<'owner_id' | 'debt' | 'payable' | 'paid', string>>(sql`
    select d.owner_id, d.debits_micros - d.credits_micros as debt, d.credits_micros as paid,
      p.credits_micros - p.debits_micros as payable
    from ${ledgerAccounts} d join ${ledgerAccounts} p on p.owner_id = d.owner_id and p.kind = 'provider_payable'
    where d.kind = 'provider_debt' and d.debits_micros > d.credits_micros and p.credits_micros > p.debits_micros
    limit ${limit}`);
  return rows.map((row) => ({
    ownerId: row.owner_id as UserId,
    debtMicros: BigInt(row.debt),
    payableMicros: BigInt(row.payable),
    paidBefore: BigInt(row.paid),
  }));
}

export type PaidTry = {
  leaseId: LeaseId;
  providerId: ProviderId;
  ownerId: UserId;
  costMicros: bigint;
  earnedMicros: bigint;
};
