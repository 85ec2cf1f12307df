import type { Db, Tx } from '@computefabric/db/client';
import type { DisputeBlame, DisputeOutcome } from '@computefabric/protocol/dispute';
import type { DisputeId, LeaseId, UserId } from '@computefabric/protocol/ids';
import { formatUsd, lesserOf } from '@computefabric/protocol/money';
import { AppError } from '@computefabric/runtime/errors';
import { invariant, InvariantError } from '@computefabric/runtime/invariant';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { recordEnd } from '../providers/reputation.store.ts';
import {
  type DisputeRow,
  findDispute,
  insertDecision,
  listPaidTries,
  lockPayment,
  moveDispute,
  movePayment,
} from './dispute.store.ts';
import { moveRefund } from './move-refund.ts';

export interface Decision {
  outcome: DisputeOutcome;
  blame: DisputeBlame;
  explanation: string;
  /** The rule that decides, or the operator who does. */
  by: { rule: string } | { operator: UserId };
  /** Tries that are given back for; null is all of them. */
  leaseIds?: readonly LeaseId[] | null;
  /** Less than what these cost; null is all of it. */
  refundMicros?: bigint | null;
}

/** A payout that takes the owner's money in the same moment is met again with what is left. */
const mostTries = 3;

/**
 * The operator decides, whatever was decided before, except that money which was given back stays given.
 *
 * @throws AppError `dispute/not-found` or `dispute/decided`
 */
export async function decideDispute(db: Db, id: DisputeId, decision: Decision): Promise<DisputeRow> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await db.transaction(async (tx) => {
        const dispute = await findDispute(tx, id);
        if (!dispute) throw new AppError('dispute/not-found');
        return await applyDecision(tx, dispute, decision);
      });
    } catch (thrown) {
      if (!(thrown instanceof InvariantError) || tries === mostTries) throw thrown;
    }
  }
}

/**
 * All that follows from a decision, in the caller's transaction: money, payment, record, history, and what it means
 * for the machine. Whoever comes second finds the payment locked and then the dispute decided.
 *
 * @throws AppError `dispute/decided`
 */
export async function applyDecision(tx: Tx, dispute: DisputeRow, decision: Decision): Promise<DisputeRow> {
  const { id, jobId } = dispute;
  const { outcome, blame, explanation, by } = decision;
  const payment = await lockPayment(tx, jobId);
  invariant(payment, `${jobId} has a payment`);
  const paid = (await listPaidTries(tx, jobId)).filter(
    ({ leaseId }) => decision.leaseIds?.includes(leaseId) ?? true,
  );
  const parts = outcome === 'granted' ? share(paid, decision.refundMicros ?? null) : [];
  const refundMicros = parts.reduce((sum, part) => sum + part.refundMicros, 0n);
  const moved = await moveDispute(tx, id, outcome, refundMicros);
  if (!moved) throw new AppError('dispute/decided');
  const settled = await movePayment(tx, payment.id, outcome === 'granted' ? 'refunded' : 'succeeded');
  // A bank may have given the card holder their money back meanwhile: it is not given twice.
  if (outcome === 'granted' && !settled) throw new AppError('dispute/decided');
  if (refundMicros > 0n) {
    await moveRefund(tx, { disputeId: id, jobId, renterId: dispute.userId, blame, parts });
  }
  await insertDecision(tx, {
    disputeId: id,
    outcome,
    blame: outcome === 'granted' ? blame : 'nobody',
    rule: 'rule' in by ? by.rule : null,
    decidedBy: 'operator' in by ? by.operator : null,
    explanation,
    refundMicros,
  });
  await appendJobEvent(tx, {
    jobId,
    type: outcome === 'granted' ? 'refunded' : 'dispute-denied',
    message:
      outcome === 'granted'
        ? `${formatUsd(refundMicros)} is given back. ${explanation}`
        : `The dispute was not granted. ${explanation}`,
    data: { dispute_id: id, refund_micros: String(refundMicros), ...('rule' in by ? { rule: by.rule } : {}) },
  });
  if (outcome === 'granted' && blame === 'provider') {
    for (const providerId of new Set(parts.map((part) => part.paid.providerId))) {
      await recordEnd(tx, providerId, 'provider-error');
    }
  }
  return moved;
}

/** What of each try is given back: all, or the amount from the first try on. */
function share<Paid extends { costMicros: bigint }>(
  paid: readonly Paid[],
  most: bigint | null,
): { paid: Paid; refundMicros: bigint }[] {
  let left = most ?? paid.reduce((sum, { costMicros }) => sum + costMicros, 0n);
  return paid.flatMap((one) => {
    const refundMicros = lesserOf(left, one.costMicros);
    left -= refundMicros;
    return refundMicros > 0n ? [{ paid: one, refundMicros }] : [];
  });
}
