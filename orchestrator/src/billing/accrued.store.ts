import type { Db, Tx } from '@computefabric/db/client';
import type { ApiKeyId, UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';

/**
 * What a renter's unsettled jobs have cost by now, by the key that submitted them: frozen bills of ended tries, and
 * of running ones the time since they were started by the price. A try that turns out free was counted until then.
 */
export async function accruedOf(
  db: Db | Tx,
  userId: UserId,
): Promise<{ apiKeyId: ApiKeyId | null; micros: bigint }[]> {
  const { rows } = await db.execute<{ key: ApiKeyId | null; micros: string }>(sql`
    select j.api_key_id as key, sum(case
      when l.state = 'active' and l.started_at is not null then floor(l.price_per_hour_micros * least(
        greatest(extract(epoch from coalesce(l.exited_at, now()) - l.started_at) * 1000 - l.silent_ms, 0),
        j.time_limit_seconds * 1000.0 - j.used_ms) / 3600000)
      else l.cost_micros end)::bigint as micros
    from payments p join jobs j on j.id = p.job_id join leases l on l.job_id = j.id
    where p.user_id = ${userId} and p.settled_at is null and (l.state = 'active' or l.cost_micros > 0)
    group by j.api_key_id`);
  return rows.map(({ key, micros }) => ({ apiKeyId: key, micros: BigInt(micros) }));
}
