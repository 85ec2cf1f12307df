import type { Tx } from '@computefabric/db/client';
import type { DisputeBlame } from '@computefabric/protocol/dispute';
import type { DisputeId, JobId, UserId } from '@computefabric/protocol/ids';
import { lesserOf } from '@computefabric/protocol/money';
import { balanceMicros, marketAccount, userAccount } from '../ledger/chart.ts';
import { postTransfers, type Transfer } from '../ledger/post-transfers.ts';
import type { PaidTry } from './dispute.store.ts';

interface Refund {
  disputeId: DisputeId;
  jobId: JobId;
  renterId: UserId;
  /** Whoever is to blame pays: the owners what they earned of it, the market its fee; or the market all of it. */
  blame: DisputeBlame;
  /** The tries that it is given back for, and how much of each. */
  parts: readonly { paid: PaidTry; refundMicros: bigint }[];
}

/**
 * Gives the renter their money back, once for each dispute, and takes from the owners what they have earned of it:
 * first what the hold window still keeps, then what they may be paid out, and what is there no more as a debt that
 * later earnings pay back.
 *
 * @returns what was given back, micros
 * @throws InvariantError when a payout took the owner's money in the same moment: to be tried again.
 */
export async function moveRefund(tx: Tx, refund: Refund): Promise<bigint> {
  const { disputeId, jobId, renterId } = refund;
  const refunds = await marketAccount(tx, 'refunds');
  const total = refund.parts.reduce((sum, { refundMicros }) => sum + refundMicros, 0n);
  const transfers: Transfer[] = [
    {
      id: `refund:${jobId}:${disputeId}`,
      kind: 'refund',
      from: refunds,
      to: await userAccount(tx, 'renter_available', renterId),
      amountMicros: total,
      jobId,
    },
  ];
  if (refund.blame === 'provider') {
    for (const { ownerId, parts } of byOwner(refund.parts)) {
      const accounts = {
        heldBack: await userAccount(tx, 'provider_held_back', ownerId),
        payable: await userAccount(tx, 'provider_payable', ownerId),
        debt: await userAccount(tx, 'provider_debt', ownerId),
      };
      let heldBack = await balanceMicros(tx, 'provider_held_back', ownerId);
      let payable = await balanceMicros(tx, 'provider_payable', ownerId);
      for (const { paid, refundMicros } of parts) {
        const earned = (paid.earnedMicros * refundMicros) / paid.costMicros;
        const fromHeldBack = lesserOf(heldBack, earned);
        const fromPayable = lesserOf(payable, earned - fromHeldBack);
        const missing = earned - fromHeldBack - fromPayable;
        heldBack -= fromHeldBack;
        payable -= fromPayable;
        const cause = { jobId, leaseId: paid.leaseId };
        const id = `${disputeId}:${paid.leaseId}`;
        transfers.push(
          {
            ...cause,
            id: `debt:${id}`,
            kind: 'debt',
            from: accounts.debt,
            to: accounts.payable,
            amountMicros: missing,
          },
          {
            ...cause,
            id: `claw-back:${id}:held`,
            kind: 'claw-back',
            from: accounts.heldBack,
            to: refunds,
            amountMicros: fromHeldBack,
          },
          {
            ...cause,
            id: `claw-back:${id}`,
            kind: 'claw-back',
            from: accounts.payable,
            to: refunds,
            amountMicros: fromPayable + missing,
          },
        );
      }
    }
  }
  await postTransfers(
    tx,
    transfers.filter(({ amountMicros }) => amountMicros > 0n),
  );
  return total;
}

function byOwner(parts: Refund['parts']): { ownerId: UserId; parts: Refund['parts'] }[] {
  const owners = [...new Set(parts.map(({ paid }) => paid.ownerId))];
  return owners.map((ownerId) => ({ ownerId, parts: parts.filter(({ paid }) => paid.ownerId === ownerId) }));
}
