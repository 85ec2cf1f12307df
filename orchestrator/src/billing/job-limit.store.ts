import type { Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { payments } from '@computefabric/db/schema/payments';
import type { JobId } from '@computefabric/protocol/ids';
import { and, eq, isNull, sql } from 'drizzle-orm';
import type { JobRow } from '../jobs/job.store.ts';

/** Writes a job's limit and what is reserved for it; its row is locked. */
export async function setLimit(
  tx: Tx,
  {
    id,
    maxCostMicros,
    onCostLimit,
    holdMicros,
  }: Pick<JobRow, 'id' | 'maxCostMicros' | 'onCostLimit' | 'holdMicros'>,
): Promise<void> {
  await tx.update(jobs).set({ maxCostMicros, onCostLimit, holdMicros }).where(eq(jobs.id, id));
}

/** Adds to the hold of a payment; false when it is settled. */
export async function growHold(tx: Tx, jobId: JobId, moreMicros: bigint): Promise<boolean> {
  const rows = await tx
    .update(payments)
    .set({ holdMicros: sql`${payments.holdMicros} + ${moreMicros}` })
    .where(and(eq(payments.jobId, jobId), isNull(payments.settledAt)))
    .returning({ id: payments.id });
  return rows.length === 1;
}
