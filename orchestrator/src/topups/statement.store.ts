import type { Db, Tx } from '@computefabric/db/client';
import { statementLines } from '@computefabric/db/schema/statement-lines';
import { max, sql } from 'drizzle-orm';
import type { StatementLine } from '../stripe/stripe-gateway.ts';

/** The moment of the newest line that is kept. */
export async function newestLineAt(db: Db): Promise<Date | null> {
  const [row] = await db.select({ at: max(statementLines.happenedAt) }).from(statementLines);
  return row?.at ?? null;
}

/** Keeps lines; gives those that are new. */
export async function insertLines(tx: Tx, lines: readonly StatementLine[]): Promise<StatementLine[]> {
  if (lines.length === 0) return [];
  const rows = await tx
    .insert(statementLines)
    .values([...lines])
    .onConflictDoNothing({ target: statementLines.id })
    .returning({ id: statementLines.id });
  const inserted = new Set(rows.map(({ id }) => id));
  return lines.filter(({ id }) => inserted.has(id));
}

/** Something at Stripe that the ledger does not know, or the other way round. */
export interface Unexplained {
  side: 'stripe' | 'ledger';
  id: string;
  /** Stripe's type of the line, or the kind of the transfer. */
  kind: string;
  amountMicros: bigint;
}

/**
 * Holds each line of the statement against the row that explains it, and each transfer from or to
 * `stripe_clearing` against its line. What is younger than `graceSeconds` may be on its way and is left out.
 * Money to the market's own bank account is explained by its type.
 */
export async function findUnexplained(db: Db | Tx, graceSeconds: number): Promise<Unexplained[]> {
  const { rows } = await db.execute<{
    side: Unexplained['side'];
    id: string;
    kind: string;
    micros: string;
  }>(sql`
    with cutoff as (select now() - make_interval(secs => ${graceSeconds}) as at)
    select 'stripe' as side, l.id, l.type as kind, l.amount_micros::text as micros
    from statement_lines l, cutoff
    where l.happened_at <= cutoff.at and not (
      l.type in ('payout', 'payout_failure', 'payout_cancel', 'stripe_fee')
      or (l.type in ('charge', 'payment') and exists (
        select from top_ups t where t.charge_id = l.source_id and t.state = 'succeeded' and t.amount_micros = l.amount_micros))
      or (l.type in ('refund', 'payment_refund') and exists (
        select from card_refunds r where r.stripe_refund_id = l.source_id and r.amount_micros = -l.amount_micros))
      or (l.type in ('refund_failure', 'payment_failure_refund') and exists (
        select from card_refunds r where r.stripe_refund_id = l.source_id and r.state = 'failed' and r.amount_micros = l.amount_micros))
      or (l.type = 'transfer' and exists (
        select from payouts p where p.transfer_id = l.source_id and p.amount_micros = -l.amount_micros))
      or (l.type = 'transfer_refund' and exists (
        select from payout_reversals r where r.id = l.source_id and r.amount_micros = l.amount_micros))
      or (l.type = 'adjustment' and exists (
        select from card_disputes d where d.id = l.source_id and d.amount_micros = abs(l.amount_micros)))
    )
    union all
    select 'ledger', x.id, x.kind, x.amount_micros::text
    from ledger_transfers x, cutoff
    where x.created_at <= cutoff.at
      and (select a.id from ledger_accounts a where a.kind = 'stripe_clearing') in (x.debit_account_id, x.credit_account_id)
      and not (
        (x.kind = 'payout-sent' and exists (
          select from payouts p join statement_lines l on l.source_id = p.transfer_id where x.id = 'payout-sent:' || p.id))
        or (x.kind = 'payout-returned' and exists (
          select from statement_lines l where x.id = 'payout-returned:' || l.source_id))
        or (x.kind = 'top-up' and exists (
          select from top_ups t join statement_lines l on l.source_id = t.charge_id where x.id = 'top-up:' || t.intent_id))
        or (x.kind = 'card-refund' and exists (
          select from card_refunds r left join statement_lines l on l.source_id = r.stripe_refund_id
          where x.id in ('card-refund:' || r.id, 'card-refund-failed:' || r.id)
            and (l.id is not null or r.state = 'pending' or (r.state = 'failed' and r.stripe_refund_id is null))))
        or (x.kind = 'stripe-fee' and exists (select from statement_lines l where x.id = 'stripe-fee:' || l.id))
        or (x.kind = 'dispute-lost' and exists (select from statement_lines l where x.id = 'dispute-lost:' || l.source_id))
      )
    order by 1, 2 limit 1000`);
  return rows.map(({ micros, ...row }) => ({ ...row, amountMicros: BigInt(micros) }));
}

/**
 * What Stripe should have of ours, micros: `stripe_clearing`, less what went to the market's own bank account,
 * less what disputes that are not lost have taken, plus refunds that Stripe has not made yet.
 */
export async function expectedAtStripe(db: Db | Tx): Promise<bigint> {
  const { rows } = await db.execute<{ micros: string }>(sql`
    select (
      -coalesce((select credits_micros - debits_micros from ledger_accounts where kind = 'stripe_clearing'), 0)
      + coalesce((select sum(amount_micros - fee_micros) from statement_lines
          where type in ('payout', 'payout_failure', 'payout_cancel')), 0)
      + coalesce((select sum(l.amount_micros) from statement_lines l
          join card_disputes d on d.id = l.source_id where d.state <> 'lost'), 0)
      + coalesce((select sum(r.amount_micros) from card_refunds r where r.state = 'pending'
          and not exists (select from statement_lines l where l.source_id = r.stripe_refund_id)), 0)
    )::text as micros`);
  return BigInt(rows[0]?.micros ?? 0);
}
