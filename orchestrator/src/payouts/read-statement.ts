import type { Db } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { CURRENCY } from '@computefabric/protocol/money';
import type { EarningsStatement } from '@computefabric/protocol/user-api/earnings';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { findUser } from '../accounts/user.store.ts';
import { balancesAround, listStatementLines, listStatementPayouts, type Period } from './statement.store.ts';

/** Lines that one answer may have: about 15 MB. A longer month is asked for day by day. */
const mostLines = 50_000;

/**
 * All that an owner has earned, lost and been paid in a period, as of one moment. It is read from the transfers, and
 * nothing is given out that does not add up to the balances of the accounts to the micro.
 *
 * @throws AppError `earnings/statement-too-long`
 */
export async function readStatement(db: Db, userId: UserId, period: string): Promise<EarningsStatement> {
  const bounds = periodOf(period);
  return await db.transaction(
    async (tx) => {
      const { id, email } = await findUser(tx, userId);
      const balances = await balancesAround(tx, userId, bounds);
      const lines = await listStatementLines(tx, userId, bounds, mostLines + 1);
      const payouts = await listStatementPayouts(tx, userId, bounds, mostLines + 1);
      if (lines.length > mostLines || payouts.length > mostLines) {
        throw new AppError('earnings/statement-too-long');
      }
      const opening = sumOf(balances, ({ openingMicros }) => openingMicros);
      const closing = sumOf(balances, ({ closingMicros }) => closingMicros);
      const earned = sumOf(lines, ({ earnedMicros }) => earnedMicros);
      const fee = sumOf(lines, ({ feeMicros }) => feeMicros);
      const refund = sumOf(lines, ({ refundMicros }) => refundMicros);
      const paid = -sumOf(payouts, ({ micros }) => (micros < 0n ? micros : 0n));
      const returned = sumOf(payouts, ({ micros }) => (micros > 0n ? micros : 0n));
      invariant(
        opening + earned - refund - paid + returned === closing,
        `the statement of ${userId} for ${period} is what the ledger says`,
      );
      const closingOf = (kind: string) =>
        sumOf(balances, (balance) => (balance.kind === kind ? balance.closingMicros : 0n));
      return {
        user: { id, email },
        period,
        from: bounds.from.toISOString(),
        until: bounds.until.toISOString(),
        currency: CURRENCY,
        opening_micros: String(opening),
        closing_micros: String(closing),
        lines: lines.map((line) => ({
          at: line.at.toISOString(),
          job_id: line.jobId,
          lease_id: line.leaseId,
          provider_id: line.providerId,
          machine: line.machine,
          gross_micros: String(line.earnedMicros + line.feeMicros),
          fee_micros: String(line.feeMicros),
          refund_micros: String(line.refundMicros),
          net_micros: String(line.earnedMicros - line.refundMicros),
        })),
        payouts: payouts.map(({ at, payoutId, method, reference, micros }) => ({
          at: at.toISOString(),
          payout_id: payoutId,
          method,
          reference,
          kind: micros < 0n ? 'paid' : 'returned',
          amount_micros: String(micros < 0n ? -micros : micros),
        })),
        totals: {
          gross_micros: String(earned + fee),
          fee_micros: String(fee),
          refund_micros: String(refund),
          net_micros: String(earned - refund),
          paid_micros: String(paid),
          returned_micros: String(returned),
        },
        closing: {
          held_micros: String(closingOf('provider_held_back')),
          payable_micros: String(closingOf('provider_payable')),
          in_transit_micros: String(closingOf('provider_in_transit')),
          owed_micros: String(-closingOf('provider_debt')),
        },
      };
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
}

/** @param period a month such as 2026-11, or a day such as 2026-11-23, in UTC */
export function periodOf(period: string): Period {
  const [year = 0, month = 1, day] = period.split('-').map(Number);
  return day === undefined
    ? { from: new Date(Date.UTC(year, month - 1, 1)), until: new Date(Date.UTC(year, month, 1)) }
    : { from: new Date(Date.UTC(year, month - 1, day)), until: new Date(Date.UTC(year, month - 1, day + 1)) };
}

function sumOf<T>(items: readonly T[], of: (item: T) => bigint): bigint {
  return items.reduce((sum, item) => sum + of(item), 0n);
}
