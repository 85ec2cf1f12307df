import type { Db, Tx } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import type { DisputeView } from '@computefabric/protocol/user-api/disputes';
import { invariant } from '@computefabric/runtime/invariant';
import { describeJobs, type DisputeRow, listDecisions } from './dispute.store.ts';

/** Who looks: the renter and the operator see the words and the record, the owner what concerns their machines. */
export type Viewer = { as: 'renter' | 'operator' } | { as: 'owner'; ownerId: UserId };

/** Disputes as this side sees them, in their order. */
export async function viewDisputes(
  db: Db | Tx,
  rows: readonly DisputeRow[],
  viewer: Viewer,
): Promise<DisputeView[]> {
  const decisions = await listDecisions(
    db,
    rows.map(({ id }) => id),
  );
  const described = await describeJobs(
    db,
    rows.map(({ jobId }) => jobId),
  );
  return rows.map((row) => {
    const job = described.get(row.jobId);
    invariant(job, `${row.jobId} exists`);
    const isOwner = viewer.as === 'owner';
    return {
      id: row.id,
      job_id: row.jobId,
      job_name: job.name,
      state: row.state,
      reason: row.reason,
      message: isOwner ? null : row.message,
      refund_micros: String(row.refundMicros),
      machines: job.machines
        .filter(({ ownerId }) => !isOwner || ownerId === viewer.ownerId)
        .map(({ id }) => id),
      created_at: row.createdAt.toISOString(),
      decided_at: row.decidedAt?.toISOString() ?? null,
      decisions: decisions
        .filter(({ disputeId }) => disputeId === row.id)
        .map((decision) => ({
          outcome: decision.outcome,
          blame: decision.blame,
          rule: decision.rule,
          explanation: decision.explanation,
          refund_micros: String(decision.refundMicros),
          at: decision.createdAt.toISOString(),
        })),
      evidence: isOwner ? null : row.evidence,
    };
  });
}

export async function viewDispute(db: Db | Tx, row: DisputeRow, viewer: Viewer): Promise<DisputeView> {
  const [view] = await viewDisputes(db, [row], viewer);
  invariant(view, `${row.id} has a view`);
  return view;
}
