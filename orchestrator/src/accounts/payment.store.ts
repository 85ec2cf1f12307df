import type { Db } from '@computefabric/db/client';
import { payments } from '@computefabric/db/schema/payments';
import type { PaymentId, UserId } from '@computefabric/protocol/ids';
import type { PaymentState } from '@computefabric/protocol/payment-state';
import type { Payment } from '@computefabric/protocol/user-api/account';
import { and, desc, eq, lt } from 'drizzle-orm';

export type PaymentRow = typeof payments.$inferSelect;

/** A user's payments, newest first. */
export async function listPaymentsOf(
  db: Db,
  userId: UserId,
  page: { limit: number; before: PaymentId | undefined; state: PaymentState | undefined },
): Promise<PaymentRow[]> {
  return await db
    .select()
    .from(payments)
    .where(
      and(
        eq(payments.userId, userId),
        page.before === undefined ? undefined : lt(payments.id, page.before),
        page.state === undefined ? undefined : eq(payments.state, page.state),
      ),
    )
    .orderBy(desc(payments.id))
    .limit(page.limit);
}

export function viewPayment(row: PaymentRow): Payment {
  return {
    id: row.id,
    job_id: row.jobId,
    state: row.state,
    hold_micros: String(row.holdMicros),
    amount_micros: String(row.amountMicros),
    created_at: row.createdAt.toISOString(),
    settled_at: row.settledAt?.toISOString() ?? null,
  };
}
