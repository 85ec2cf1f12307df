import type { Tx } from '@computefabric/db/client';
import type { JobId, LeaseId, PayoutId, ProviderId, UserId } from '@computefabric/protocol/ids';
import type { PayoutMethod } from '@computefabric/protocol/payout-state';
import { sql } from 'drizzle-orm';

/** A period, from its first moment to the first after it. */
export interface Period {
  from: Date;
  until: Date;
}

/** All that an owner has with the market: what leaves or enters it is on their statement, what moves inside is not. */
const accountsOf = (userId: UserId) => sql`
  select id, kind, credits_micros - debits_micros as micros from ledger_accounts
  where owner_id = ${userId} and kind in ('provider_held_back', 'provider_payable', 'provider_in_transit', 'provider_debt')`;

const at = (moment: Date) => sql`${moment.toISOString()}::timestamptz`;

/**
 * Each account's balance at both ends of the period: today's, less what was moved since. So a statement costs what
 * happened since its beginning, not what happened ever.
 */
export async function balancesAround(tx: Tx, userId: UserId, { from, until }: Period) {
  const { rows } = await tx.execute<{ kind: string; opening: string; closing: string }>(sql`
    with account as (${accountsOf(userId)}), moved as (
      select a.id, x.amount_micros as micros, x.created_at from account a
      join ledger_transfers x on x.credit_account_id = a.id and x.created_at >= ${at(from)}
      union all
      select a.id, -x.amount_micros, x.created_at from account a
      join ledger_transfers x on x.debit_account_id = a.id and x.created_at >= ${at(from)}
    )
    select a.kind, (a.micros - coalesce(sum(m.micros), 0))::text as opening,
      (a.micros - coalesce(sum(m.micros) filter (where m.created_at >= ${at(until)}), 0))::text as closing
    from account a left join moved m on m.id = a.id group by a.id, a.kind, a.micros`);
  return rows.map(({ kind, opening, closing }) => ({
    kind,
    openingMicros: BigInt(opening),
    closingMicros: BigInt(closing),
  }));
}

/** One try in a period: what it earned in it, and what was taken back of it in it. */
export interface StatementLineRow {
  at: Date;
  jobId: JobId;
  leaseId: LeaseId;
  providerId: ProviderId;
  machine: string;
  earnedMicros: bigint;
  feeMicros: bigint;
  refundMicros: bigint;
}

/** Transfers between an owner's accounts and all others, in a period. */
const crossing = (userId: UserId, { from, until }: Period) => sql`
  account as (${accountsOf(userId)}), crossing as (
    select x.id, x.kind, x.job_id, x.lease_id, x.created_at, x.amount_micros as micros from account a
    join ledger_transfers x on x.credit_account_id = a.id and x.created_at >= ${at(from)} and x.created_at < ${at(until)}
    where x.debit_account_id not in (select id from account)
    union all
    select x.id, x.kind, x.job_id, x.lease_id, x.created_at, -x.amount_micros from account a
    join ledger_transfers x on x.debit_account_id = a.id and x.created_at >= ${at(from)} and x.created_at < ${at(until)}
    where x.credit_account_id not in (select id from account)
  )`;

export async function listStatementLines(
  tx: Tx,
  userId: UserId,
  period: Period,
  limit: number,
): Promise<StatementLineRow[]> {
  const { rows } = await tx.execute<{
    at: string;
    job_id: JobId;
    lease_id: LeaseId;
    provider_id: ProviderId;
    machine: string;
    earned: string;
    fee: string;
    refund: string;
  }>(sql`
    with ${crossing(userId, period)}, line as (
      select lease_id, min(job_id) as job_id, min(created_at) as at,
        coalesce(sum(micros) filter (where kind = 'earn'), 0) as earned,
        coalesce(-sum(micros) filter (where kind = 'claw-back'), 0) as refund
      from crossing where kind in ('earn', 'claw-back') group by lease_id
    )
    select to_char(i.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, i.job_id, i.lease_id,
      l.provider_id, p.name as machine, i.earned::text, i.refund::text,
      case when i.earned > 0 then coalesce(f.amount_micros, 0) else 0 end::text as fee
    from line i join leases l on l.id = i.lease_id join providers p on p.id = l.provider_id
    left join ledger_transfers f on f.lease_id = i.lease_id and f.kind = 'fee'
    order by i.at, i.lease_id limit ${limit}`);
  return rows.map((row) => ({
    at: new Date(row.at),
    jobId: row.job_id,
    leaseId: row.lease_id,
    providerId: row.provider_id,
    machine: row.machine,
    earnedMicros: BigInt(row.earned),
    feeMicros: BigInt(row.fee),
    refundMicros: BigInt(row.refund),
  }));
}

/** A payout that left, or came back, in a period. */
export interface StatementPayoutRow {
  at: Date;
  payoutId: PayoutId;
  method: PayoutMethod;
  reference: string | null;
  /** Below zero when it left. */
  micros: bigint;
}

export async function listStatementPayouts(
  tx: Tx,
  userId: UserId,
  period: Period,
  limit: number,
): Promise<StatementPayoutRow[]> {
  const { rows } = await tx.execute<{
    at: string;
    payout_id: PayoutId;
    method: PayoutMethod;
    reference: string | null;
    micros: string;
  }>(sql`
    with ${crossing(userId, period)}
    select to_char(x.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, p.id as payout_id, p.method,
      p.reference, x.micros::text
    from crossing x
    left join payout_reversals r on x.kind = 'payout-returned' and r.id = substr(x.id, length('payout-returned:') + 1)
    join payouts p on p.id = coalesce(r.payout_id, split_part(x.id, ':', 2))
    where x.kind not in ('earn', 'claw-back')
    order by x.created_at, x.id limit ${limit}`);
  return rows.map((row) => ({
    at: new Date(row.at),
    payoutId: row.payout_id,
    method: row.method,
    reference: row.reference,
    micros: BigInt(row.micros),
  }));
}

/** What each machine of an owner has earned on each of the last days (UTC), less what was taken back then. */
export async function listEarnedByDay(
  tx: Tx,
  userId: UserId,
  period: Period,
): Promise<{ day: string; providerId: ProviderId; machine: string; micros: bigint }[]> {
  const { rows } = await tx.execute<{
    day: string;
    provider_id: ProviderId;
    machine: string;
    micros: string;
  }>(sql`
    with ${crossing(userId, period)}
    select to_char(x.created_at at time zone 'UTC', 'YYYY-MM-DD') as day, p.id as provider_id, p.name as machine,
      sum(x.micros)::text as micros
    from crossing x join leases l on l.id = x.lease_id join providers p on p.id = l.provider_id
    where x.kind in ('earn', 'claw-back') group by 1, 2, 3 order by 1, 3, 2`);
  return rows.map((row) => ({
    day: row.day,
    providerId: row.provider_id,
    machine: row.machine,
    micros: BigInt(row.micros),
  }));
}
