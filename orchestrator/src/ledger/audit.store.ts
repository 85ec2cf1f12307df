import type { Db, Tx } from '@computefabric/db/client';
import { sql } from 'drizzle-orm';

/** A difference in the books. Any at all is a fault of ours. */
export interface AuditFinding {
  rule: 'totals' | 'balanced' | 'held' | 'settled';
  /** The account or job it is about. */
  subject: string;
  detail: string;
}

/**
 * Re-adds the books from the transfers, in one statement and so at one moment:
 *
 * - `totals`    each account's running totals are the sums of its transfers
 * - `balanced`  all balances together are zero
 * - `held`      what a renter has reserved is exactly the holds of their unsettled jobs
 * - `settled`   a settled payment's amount is what left the hold for it
 */
export async function auditLedger(db: Db | Tx): Promise<AuditFinding[]> {
  const result = await db.execute<{ rule: AuditFinding['rule']; subject: string; detail: string }>(sql`
    with moved as (
      select account_id, sum(credit) as credits, sum(debit) as debits from (
        select credit_account_id as account_id, amount_micros as credit, 0 as debit from ledger_transfers
        union all
        select debit_account_id, 0, amount_micros from ledger_transfers
      ) as sides group by account_id
    ), held as (
      select user_id, sum(hold_micros) as micros from payments where state = 'pending' group by user_id
    ), paid as (
      select job_id, sum(amount_micros) as micros from ledger_transfers where kind in ('earn', 'fee') group by job_id
    )
    select 'totals' as rule, a.id as subject,
      format('kept +%s −%s, added +%s −%s', a.credits_micros, a.debits_micros, m.credits, m.debits) as detail
    from ledger_accounts a left join moved m on m.account_id = a.id
    where a.credits_micros <> coalesce(m.credits, 0) or a.debits_micros <> coalesce(m.debits, 0)
    union all
    select 'balanced', 'all accounts', format('sum is %s', sum(credits_micros - debits_micros))
    from ledger_accounts having sum(credits_micros - debits_micros) <> 0
    union all
    select 'held', coalesce(a.owner_id, h.user_id),
      format('held %s, holds %s', coalesce(a.credits_micros - a.debits_micros, 0), coalesce(h.micros, 0))
    from (select * from ledger_accounts where kind = 'renter_held') a
    full join held h on h.user_id = a.owner_id
    where coalesce(a.credits_micros - a.debits_micros, 0) <> coalesce(h.micros, 0)
    union all
    select 'settled', p.job_id, format('payment %s, paid %s', p.amount_micros, coalesce(paid.micros, 0))
    from payments p left join paid on paid.job_id = p.job_id
    where coalesce(paid.micros, 0) <> p.amount_micros`);
  return result.rows;
}
