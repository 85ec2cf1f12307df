import { createDb } from '@computefabric/db/client';

/**
 * Re-adds the books from outside, from the transfers alone: `difference` is what all accounts sum to, `drift`
 * how far the running totals are from the transfers, `held` what is still reserved. All are '0' at rest.
 */
export async function auditBooks(databaseUrl: string) {
  const { pool, close } = createDb(databaseUrl);
  try {
    const { rows } = await pool.query<{ difference: string; drift: string; held: string }>(`
      with moved as (
        select account_id, sum(credit) as credits, sum(debit) as debits from (
          select credit_account_id as account_id, amount_micros as credit, 0 as debit from ledger_transfers
          union all
          select debit_account_id, 0, amount_micros from ledger_transfers
        ) both_sides group by account_id
      )
      select sum(credits_micros - debits_micros)::text as difference,
             sum(abs(credits_micros - coalesce(credits, 0)) + abs(debits_micros - coalesce(debits, 0)))::text as drift,
             coalesce(sum(credits_micros - debits_micros) filter (where kind = 'renter_held'), 0)::text as held
      from ledger_accounts left join moved on moved.account_id = ledger_accounts.id`);
    return rows[0];
  } finally {
    await close();
  }
}
