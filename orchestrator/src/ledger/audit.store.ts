import type { Db, Tx } from '@computefabric/db/client';
import { type AccountKind, accountKinds } from '@computefabric/db/schema/ledger-accounts';
import { sql } from 'drizzle-orm';

/**
 * What the books must keep:
 *
 * - `totals`    each account's running totals are the sums of its transfers
 * - `balanced`  all balances together are zero
 * - `floor`     no account is below zero that must not be
 * - `held`      what a renter has reserved is exactly the holds of their unsettled jobs
 * - `hold`      a payment's hold is what its job has put aside
 * - `settled`   a settled payment's amount is what left the hold for it, and the rest went back
 * - `bill`      each try was paid for once, as its bill was frozen
 * - `orphan`    a transfer of a job that has no payment
 * - `overdue`   a hold that has outlived its job by ten minutes
 * - `top-ups`   money taken in by card is what the paid top-ups come to
 * - `payouts`   what is on its way to an owner is exactly their open payouts, and each payout has the transfers of its state
 * - `clearing`  money at Stripe is what top-ups, refunds, claims, payouts and the lines of its statement say, kind by kind
 * - `budgets`   what a budget counts as reserved and spent is what its unsettled and settled jobs come to
 */
export const auditRules = [
  'totals',
  'balanced',
  'floor',
  'held',
  'hold',
  'settled',
  'bill',
  'orphan',
  'overdue',
  'top-ups',
  'payouts',
  'clearing',
  'budgets',
] as const;
export type AuditRule = (typeof auditRules)[number];

/** A difference in the books. Any at all is a fault of ours. */
export interface AuditFinding {
  rule: AuditRule;
  /** The account, job or person it is about. */
  subject: string;
  detail: string;
}

/** Findings of one audit: a fault that is everywhere is told by the first ones. */
const mostFindings = 1_000;
const overdueMinutes = 10;
/**
 * A settlement bears the moment at which its transaction began. One that began before a budget's period may have been
 * counted in it, where it waited for the budget's lock this long; no later one is left out.
 */
const lateSettlementSeconds = 60;

/** Re-adds the books from the transfers, in one statement and so at one moment. */
export async function auditLedger(db: Db | Tx): Promise<AuditFinding[]> {
  const { rows } = await db.execute<{ rule: AuditRule; subject: string; detail: string }>(sql`
    with moved as (
      select account_id, sum(credit) as credits, sum(debit) as debits from (
        select credit_account_id as account_id, amount_micros as credit, 0 as debit from ledger_transfers
        union all
        select debit_account_id, 0, amount_micros from ledger_transfers
      ) as sides group by account_id
    ), pending as (
      select user_id, sum(hold_micros) as micros from payments where settled_at is null group by user_id
    ), of_job as (
      select job_id,
        coalesce(sum(amount_micros) filter (where kind = 'hold'), 0) as held,
        coalesce(sum(amount_micros) filter (where kind in ('earn', 'fee')), 0) as paid,
        coalesce(sum(amount_micros) filter (where kind = 'release'), 0) as released
      from ledger_transfers where job_id is not null and kind in ('hold', 'earn', 'fee', 'release') group by job_id
    ), of_try as (
      select lease_id,
        coalesce(sum(amount_micros) filter (where kind = 'earn'), 0) as earned, sum(amount_micros) as cost
      from ledger_transfers where lease_id is not null and kind in ('earn', 'fee') group by lease_id
    ), of_payout as (
      select coalesce(r.payout_id, split_part(t.id, ':', 2)) as id,
        coalesce(sum(t.amount_micros) filter (where t.kind = 'payout'), 0) as taken,
        coalesce(sum(t.amount_micros) filter (where t.kind = 'payout-sent'), 0) as sent,
        coalesce(sum(t.amount_micros) filter (where t.kind in ('payout-returned', 'correction')), 0) as returned
      from ledger_transfers t
      left join payout_reversals r on t.kind = 'payout-returned' and r.id = substr(t.id, length('payout-returned:') + 1)
      where t.kind in ('payout', 'payout-sent', 'payout-returned') or (t.kind = 'correction' and t.id like 'correction:payout%')
      group by 1
    ), at_stripe as (
      select t.kind, sum(case when t.credit_account_id = c.id then t.amount_micros else -t.amount_micros end) as micros
      from ledger_transfers t join ledger_accounts c on c.kind = 'stripe_clearing' and c.id in (t.debit_account_id, t.credit_account_id)
      -- A fee is booked with its payment; the line that says it may come later.
      where t.kind <> 'correction'
        and (t.kind <> 'stripe-fee' or exists (select from statement_lines l where t.id = 'stripe-fee:' || l.id))
      group by t.kind
    ), said as (
      select 'top-up' as kind, -sum(amount_micros) as micros from top_ups where state = 'succeeded'
      union all
      select 'card-refund', sum(amount_micros) from card_refunds where state <> 'failed'
      union all
      select 'dispute-lost', sum(amount_micros) from card_disputes where state = 'lost'
      union all
      select 'payout-sent', sum(amount_micros) from payouts where method = 'stripe' and state in ('sent', 'paid', 'reversed')
      union all
      select 'payout-returned', -sum(r.amount_micros) from payout_reversals r
      join payouts p on p.id = r.payout_id and p.method = 'stripe'
      union all
      select 'stripe-fee', sum(case when type = 'stripe_fee' then fee_micros - amount_micros else fee_micros end)
      from statement_lines
    ), counted as (
      select b.id,
        coalesce(sum(p.hold_micros) filter (where p.settled_at is null), 0) as reserved,
        coalesce(sum(p.amount_micros) filter (where p.settled_at >= b.period_start), 0) as least,
        coalesce(sum(p.amount_micros) filter (
          where p.settled_at >= b.period_start - make_interval(secs => ${lateSettlementSeconds})), 0) as most
      from budgets b left join (payments p join jobs j on j.id = p.job_id)
        on p.user_id = b.user_id and (b.api_key_id is null or j.api_key_id = b.api_key_id)
      group by b.id
    )
    select 'totals' as rule, coalesce(a.id, m.account_id) as subject,
      format('kept +%s −%s, added +%s −%s', a.credits_micros, a.debits_micros, m.credits, m.debits) as detail
    from ledger_accounts a full join moved m on m.account_id = a.id
    where a.credits_micros is distinct from coalesce(m.credits, 0) or a.debits_micros is distinct from coalesce(m.debits, 0)
    union all
    select 'balanced', 'all accounts', format('sum is %s', sum(credits_micros - debits_micros))
    from ledger_accounts having sum(credits_micros - debits_micros) <> 0
    union all
    select 'floor', id, format('%s is at %s', kind, credits_micros - debits_micros) from ledger_accounts
    where credits_micros < debits_micros and kind in ('renter_available', 'renter_held', 'renter_disputed',
      'provider_held_back', 'provider_payable', 'provider_in_transit', 'platform_fees')
    union all
    select 'held', coalesce(a.owner_id, h.user_id),
      format('held %s, holds %s', coalesce(a.credits_micros - a.debits_micros, 0), coalesce(h.micros, 0))
    from (select * from ledger_accounts where kind = 'renter_held') a
    full join pending h on h.user_id = a.owner_id
    where coalesce(a.credits_micros - a.debits_micros, 0) <> coalesce(h.micros, 0)
    union all
    select 'hold', p.job_id, format('payment says %s, put aside %s', p.hold_micros, coalesce(t.held, 0))
    from payments p left join of_job t on t.job_id = p.job_id where coalesce(t.held, 0) <> p.hold_micros
    union all
    select 'settled', p.job_id, format('payment %s of %s, paid %s, released %s', p.amount_micros, p.hold_micros,
      coalesce(t.paid, 0), coalesce(t.released, 0))
    from payments p left join of_job t on t.job_id = p.job_id
    where coalesce(t.paid, 0) <> p.amount_micros
      or coalesce(t.released, 0) <> case when p.settled_at is null then 0 else p.hold_micros - p.amount_micros end
    union all
    select 'bill', coalesce(l.id, t.lease_id), format('bill %s, of it %s earned; paid %s and %s',
      l.cost_micros, l.earned_micros, coalesce(t.cost, 0), coalesce(t.earned, 0))
    from (select l.id, l.cost_micros, l.earned_micros from leases l
      join payments p on p.job_id = l.job_id and p.settled_at is not null) l
    full join of_try t on t.lease_id = l.id
    where coalesce(l.cost_micros, 0) <> coalesce(t.cost, 0) or coalesce(l.earned_micros, 0) <> coalesce(t.earned, 0)
    union all
    select 'orphan', t.job_id, 'no payment' from of_job t left join payments p on p.job_id = t.job_id where p.id is null
    union all
    select 'overdue', p.job_id, format('%s held since %s', p.hold_micros, j.finished_at)
    from payments p join jobs j on j.id = p.job_id
    where p.settled_at is null and j.finished_at < now() - make_interval(mins => ${overdueMinutes})
    union all
    select 'top-ups', 'all', format('booked %s, paid %s', booked.micros, paid.micros)
    from (select coalesce(sum(amount_micros), 0) as micros from ledger_transfers where kind = 'top-up'
        and debit_account_id in (select id from ledger_accounts where kind = 'stripe_clearing')) booked,
      (select coalesce(sum(amount_micros), 0) as micros from top_ups where state = 'succeeded') paid
    where booked.micros <> paid.micros
    union all
    select 'payouts', coalesce(a.owner_id, p.user_id),
      format('in transit %s, payouts %s', coalesce(a.micros, 0), coalesce(p.micros, 0))
    from (select owner_id, credits_micros - debits_micros as micros from ledger_accounts where kind = 'provider_in_transit') a
    full join (select user_id, sum(amount_micros) as micros from payouts where state in ('created', 'sending') group by user_id) p
      on p.user_id = a.owner_id
    where coalesce(a.micros, 0) <> coalesce(p.micros, 0)
    union all
    select 'payouts', coalesce(p.id, x.id), format('%s of %s: %s taken, %s sent, %s returned', coalesce(p.state, 'no payout'),
      p.amount_micros, coalesce(x.taken, 0), coalesce(x.sent, 0), coalesce(x.returned, 0))
    from (select p.*, coalesce((select sum(r.amount_micros) from payout_reversals r where r.payout_id = p.id), 0) as reversed
      from payouts p) p
    full join of_payout x on x.id = p.id
    where p.id is null or coalesce(x.taken, 0) <> p.amount_micros or p.returned_micros <> p.reversed
      or coalesce(x.sent, 0) <> case when p.state in ('sent', 'paid', 'reversed') then p.amount_micros else 0 end
      or coalesce(x.returned, 0) <> case when p.state = 'failed' then p.amount_micros else p.returned_micros end
    union all
    select 'clearing', coalesce(a.kind, s.kind), format('booked %s, said %s', coalesce(a.micros, 0), coalesce(s.micros, 0))
    from at_stripe a full join said s on s.kind = a.kind where coalesce(a.micros, 0) <> coalesce(s.micros, 0)
    union all
    select 'budgets', b.id, format('reserved %s, holds %s; spent %s, jobs %s', b.reserved_micros, c.reserved, b.spent_micros, c.least)
    from budgets b join counted c on c.id = b.id
    where b.reserved_micros <> c.reserved or b.spent_micros not between c.least and c.most
    limit ${mostFindings}`);
  return rows.map(({ rule, subject, detail }) => ({ rule, subject, detail }));
}

/** All accounts of one kind together, micros. */
export interface KindTotals {
  kind: AccountKind;
  accounts: number;
  creditsMicros: bigint;
  debitsMicros: bigint;
  balanceMicros: bigint;
  /** The lowest balance of one of them. */
  lowestMicros: bigint;
}

/** The chart of accounts with what is in it; kinds without an account are there with zeros. */
export async function totalsByKind(db: Db | Tx): Promise<KindTotals[]> {
  const { rows } = await db.execute<Record<'kind' | 'n' | 'credits' | 'debits' | 'lowest', string>>(sql`
    select kind, count(*) as n, sum(credits_micros) as credits, sum(debits_micros) as debits,
      min(credits_micros - debits_micros) as lowest from ledger_accounts group by kind`);
  const found = new Map(rows.map((row) => [row.kind, row]));
  return accountKinds.map((kind) => {
    const row = found.get(kind);
    const [creditsMicros, debitsMicros] = [BigInt(row?.credits ?? 0), BigInt(row?.debits ?? 0)];
    return {
      kind,
      accounts: Number(row?.n ?? 0),
      creditsMicros,
      debitsMicros,
      balanceMicros: creditsMicros - debitsMicros,
      lowestMicros: BigInt(row?.lowest ?? 0),
    };
  });
}

/** Holds that are pending, oldest first: what renters have reserved for jobs that are not settled. */
export async function pendingHolds(
  db: Db | Tx,
): Promise<{ count: number; micros: bigint; oldestSeconds: number }> {
  const { rows } = await db.execute<Record<'n' | 'micros' | 'oldest', string>>(sql`
    select count(*) as n, coalesce(sum(hold_micros), 0) as micros,
      coalesce(extract(epoch from now() - min(created_at)), 0)::bigint as oldest
    from payments where settled_at is null`);
  const row = rows[0];
  return {
    count: Number(row?.n ?? 0),
    micros: BigInt(row?.micros ?? 0),
    oldestSeconds: Number(row?.oldest ?? 0),
  };
}

/** Lets the statements of this transaction take so long. */
export async function allowMs(tx: Tx, ms: number): Promise<void> {
  await tx.execute(sql.raw(`set local statement_timeout = ${Math.ceil(ms)}`));
}
