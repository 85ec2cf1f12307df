import { CURRENCY } from '@computefabric/protocol/money';
import type { GroupReceipt, SignedGroupReceipt } from '@computefabric/protocol/receipts/receipt';
import { AppError } from '@computefabric/runtime/errors';
import { sealReceipt } from '@computefabric/runtime/receipts/seal-receipt';
import { databaseNow } from '../background/database-now.ts';
import type { GroupRow } from '../jobs/group-reads.store.ts';
import type { ReceiptDeps } from './issue-receipt.ts';
import { listMemberBills, type MemberBill } from './receipt.store.ts';

/**
 * One bill for all members of a group. What each did in detail is on its own receipt.
 *
 * @throws AppError `receipt/not-ready` while a member has not ended or is not settled.
 */
export async function issueGroupReceipt(
  { db, signer, playMoney }: ReceiptDeps,
  group: GroupRow,
): Promise<SignedGroupReceipt> {
  const bills = await listMemberBills(db, group.id);
  const sum = (field: 'holdMicros' | 'costMicros' | 'earnedMicros' | 'refundedMicros' | 'releasedMicros') =>
    bills.reduce((total, bill) => total + bill[field], 0n);
  const receipt: GroupReceipt = {
    type: 'computefabric-group-receipt/1',
    issued_at: (await databaseNow(db)).toISOString(),
    group: { id: group.id, name: group.name, kind: group.kind, size: group.size },
    currency: CURRENCY,
    play_money: playMoney,
    hold_micros: String(sum('holdMicros')),
    cost_micros: String(sum('costMicros')),
    fee_micros: String(sum('costMicros') - sum('earnedMicros')),
    earned_micros: String(sum('earnedMicros')),
    refunded_micros: String(sum('refundedMicros')),
    total_micros: String(sum('costMicros') - sum('refundedMicros')),
    released_micros: String(sum('releasedMicros')),
    billed_ms: bills.reduce((ms, bill) => ms + bill.billedMs, 0),
    members: bills.map(viewMember),
  };
  return await sealReceipt(receipt, signer);
}

function viewMember(bill: MemberBill): GroupReceipt['members'][number] {
  if (bill.endReason === null || bill.pending) throw new AppError('receipt/not-ready');
  return {
    index: bill.index,
    job_id: bill.jobId,
    name: bill.name,
    state: bill.state,
    end_reason: bill.endReason,
    tries: bill.tries,
    billed_ms: bill.billedMs,
    cost_micros: String(bill.costMicros),
    fee_micros: String(bill.costMicros - bill.earnedMicros),
    earned_micros: String(bill.earnedMicros),
    refunded_micros: String(bill.refundedMicros),
    total_micros: String(bill.costMicros - bill.refundedMicros),
  };
}
