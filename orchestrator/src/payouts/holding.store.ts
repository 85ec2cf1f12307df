import type { Db, Tx } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import type { PayoutSettings } from './payout-deps.ts';

/** What an owner has with the market now, micros. */
export interface Holding {
  userId: UserId;
  /** Balances of the ledger. */
  heldMicros: bigint;
  payableMicros: bigint;
  inTransitMicros: bigint;
  owedMicros: bigint;
  /** What of held and payable must stay: too young, contested, or of an owner who is new. */
  keptMicros: bigint;
  /** The part of it that is contested. */
  frozenMicros: bigint;
  /** Settled tries, counted up to `firstJobs`. */
  settledJobs: number;
  /** When the oldest of the young ones is old enough. */
  nextReleaseAt: Date | null;
}

/** What may be paid out of this, before debts. */
export function releasableMicros({ heldMicros, payableMicros, keptMicros }: Holding): bigint {
  const left = heldMicros + payableMicros - keptMicros;
  return left > 0n ? left : 0n;
}

/**
 * What owners have and what of it must stay. What is there are the earnings that were kept all the time, and then the
 * newest: payouts take the oldest first. So an earning counts as far as it is still there, however much was paid out,
 * taken back or returned since; one that was paid out before it was contested keeps nothing of the others.
 *
 * Contested is a job whose payment is disputed (by its renter, or by a card holder where its card was charged for it),
 * and each job that a renter has paid for since a top-up that their card holder claims back.
 */
export async function findHoldings(
  db: Db | Tx,
  userIds: readonly UserId[],
  { holdSeconds, firstJobs }: Pick<PayoutSettings, 'holdSeconds' | 'firstJobs'>,
): Promise<Holding[]> {
  const { rows } = await db.execute<{
    id: UserId;
    held: string;
    payable: string;
    in_transit: string;
    owed: string;
    kept: string;
    frozen: string;
    settled: number;
    next_release_at: string | null;
  }>(sql`
    with cutoff as (
      select now() - make_interval(secs => ${holdSeconds}) as at
    ), owner as (
      select u.id,
        coalesce(sum(a.credits_micros - a.debits_micros) filter (where a.kind = 'provider_held_back'), 0) as held,
        coalesce(sum(a.credits_micros - a.debits_micros) filter (where a.kind = 'provider_payable'), 0) as payable,
        coalesce(sum(a.credits_micros - a.debits_micros) filter (where a.kind = 'provider_in_transit'), 0) as in_transit,
        coalesce(sum(a.debits_micros - a.credits_micros) filter (where a.kind = 'provider_debt'), 0) as owed
      from unnest(${sql.param([...userIds])}::text[]) as u (id)
      left join ledger_accounts a on a.owner_id = u.id group by u.id
    ), account as (
      select a.id, a.owner_id from owner o join ledger_accounts a on a.owner_id = o.id
      where a.kind in ('provider_held_back', 'provider_payable')
    ), frozen_job as materialized (
      select job_id, min(since) as since from (
        select p.job_id, coalesce(
          (select d.created_at from disputes d where d.job_id = p.job_id and d.state = 'open'),
          (select min(d.created_at) from card_disputes d where d.top_up_id = p.top_up_id and d.state = 'open')) as since
        from payments p where p.state = 'disputed'
        union all
        select p.job_id, d.created_at from card_disputes d
        join top_ups t on t.id = d.top_up_id
        join payments p on p.user_id = d.user_id and p.settled_at >= t.settled_at
        where d.state = 'open'
      ) as cause group by job_id
    ), frozen_earning as materialized (
      select x.id, a.owner_id, x.created_at, not exists (select from payouts q
          where q.user_id = a.owner_id and q.state <> 'failed' and q.created_at <= f.since
            and q.created_at >= x.created_at + make_interval(secs => ${holdSeconds})) as untouched
      from frozen_job f
      join ledger_transfers x on x.job_id = f.job_id and x.kind = 'earn'
      join account a on a.id = x.credit_account_id
    ), since as (
      select o.id, least(cutoff.at, (select min(f.created_at) from frozen_earning f where f.owner_id = o.id)) as at
      from owner o, cutoff
    ), earning as (
      select a.owner_id, x.id, x.created_at,
        x.amount_micros - coalesce((select sum(c.amount_micros) from ledger_transfers c
          where c.job_id = x.job_id and c.lease_id = x.lease_id and c.kind = 'claw-back'), 0) as micros,
        x.created_at > cutoff.at as young, f.id is not null as frozen, coalesce(f.untouched, false) as untouched
      from since s
      join account a on a.owner_id = s.id
      join ledger_transfers x on x.credit_account_id = a.id and x.created_at >= s.at and x.kind = 'earn'
      left join frozen_earning f on f.id = x.id, cutoff
    ), unpaid as (
      select e.owner_id, e.created_at, e.young, e.frozen, greatest(0, least(e.micros, o.held + o.payable
        - (sum(e.micros) over (partition by e.owner_id
          order by e.young or e.untouched desc, e.created_at desc, e.id desc) - e.micros))) as micros
      from earning e join owner o on o.id = e.owner_id
    ), stays as (
      select owner_id, sum(micros) filter (where young or frozen) as kept, sum(micros) filter (where frozen) as frozen,
        min(created_at) filter (where young and not frozen and micros > 0) as oldest
      from unpaid group by owner_id
    ), experience as (
      select o.id, (select count(*)::int from (
        select from account a join ledger_transfers x on x.credit_account_id = a.id and x.kind = 'earn'
        join payments p on p.job_id = x.job_id and p.state not in ('disputed', 'refunded')
        where a.owner_id = o.id limit ${firstJobs}) as first) as settled
      from owner o
    )
    select o.id, o.held::text, o.payable::text, o.in_transit::text, o.owed::text, e.settled,
      case when e.settled < ${firstJobs} then o.held + o.payable else coalesce(s.kept, 0) end::text as kept,
      coalesce(s.frozen, 0)::text as frozen,
      to_char((s.oldest + make_interval(secs => ${holdSeconds})) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as next_release_at
    from owner o join experience e on e.id = o.id left join stays s on s.owner_id = o.id`);
  return rows.map((row) => ({
    userId: row.id,
    heldMicros: BigInt(row.held),
    payableMicros: BigInt(row.payable),
    inTransitMicros: BigInt(row.in_transit),
    owedMicros: BigInt(row.owed),
    keptMicros: BigInt(row.kept),
    frozenMicros: BigInt(row.frozen),
    settledJobs: row.settled,
    nextReleaseAt: row.next_release_at === null ? null : new Date(row.next_release_at),
  }));
}

/** Owners with earnings that the hold window keeps, in the order of their ids. */
export async function findHeldBack(db: Db, after: UserId | null, limit: number): Promise<UserId[]> {
  const { rows } = await db.execute<{ owner_id: UserId }>(sql`
    select owner_id from ledger_accounts
    where kind = 'provider_held_back' and credits_micros > debits_micros and owner_id > ${after ?? ''}
    order by owner_id limit ${limit}`);
  return rows.map(({ owner_id }) => owner_id);
}

/** Everybody whom the market owes something, or who owes it something, in the order of their ids. */
export async function findOwners(db: Db, after: UserId | null, limit: number): Promise<UserId[]> {
  const { rows } = await db.execute<{ owner_id: UserId }>(sql`
    select distinct owner_id from ledger_accounts
    where kind in ('provider_held_back', 'provider_payable', 'provider_in_transit', 'provider_debt')
      and credits_micros <> debits_micros and owner_id > ${after ?? ''}
    order by owner_id limit ${limit}`);
  return rows.map(({ owner_id }) => owner_id);
}
