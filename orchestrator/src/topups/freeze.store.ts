import type { Tx } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';

/**
 * Decides anew whether an account may submit: not while a card holder's claim is open, nor while something is
 * owed that nobody is about to pay. Where jobs are charged one by one, credit in use by unfinished jobs and
 * what a charge under way will pay is not owed in this sense. The caller holds the lock of the billing account.
 */
export async function refreshFreeze(tx: Tx, userId: UserId): Promise<void> {
  await tx.execute(sql`
    with balances as (
      select kind, credits_micros - debits_micros as micros from ledger_accounts where owner_id = ${userId}
    ), facts as (
      select
        exists (select from card_disputes where user_id = ${userId} and state = 'open') as disputed,
        -coalesce((select micros from balances where kind = 'renter_debt'), 0) as debt,
        coalesce((select micros from balances where kind = 'renter_held'), 0) as held,
        coalesce((select sum(amount_micros) from payments
          where user_id = ${userId} and state = 'pending' and settled_at is not null), 0) as pending
    )
    update billing_accounts b set frozen_by = case
      when f.disputed then 'dispute'
      when b.mode = 'per_job' and f.debt > f.held + f.pending then 'unpaid'
      when b.mode = 'prepaid' and f.debt > 0 then 'unpaid'
    end
    from facts f where b.user_id = ${userId}`);
}
