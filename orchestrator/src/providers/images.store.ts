import type { Db, Tx } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { providers } from '@computefabric/db/schema/providers';
import type { ProviderId } from '@computefabric/protocol/ids';
import { and, eq, sql } from 'drizzle-orm';

/** What a machine has now. @returns whether that is something else than before */
export async function setCachedImages(tx: Tx, id: ProviderId, names: readonly string[]): Promise<boolean> {
  const rows = await tx
    .update(providers)
    .set({ cachedImages: [...names] })
    .where(
      and(
        eq(providers.id, id),
        sql`${providers.cachedImages} is distinct from ${sql.param([...names])}::text[]`,
      ),
    )
    .returning({ id: providers.id });
  return rows.length > 0;
}

/** The latest jobs that are asked about demand: newest ids first, which the primary key gives without a sort. */
const latestJobs = 20_000;

/**
 * Images that many run: of the latest jobs of the last day those that at least so many accounts have named, the one
 * with the most accounts first. What fewer run is theirs, and its name is told to nobody.
 */
export async function imagesInDemand(db: Db, leastAccounts: number, most: number): Promise<string[]> {
  const { rows } = await db.execute<{ image: string }>(sql`
    select image from (
      select ${jobs.image}, ${jobs.userId}, ${jobs.createdAt} from ${jobs} order by ${jobs.id} desc limit ${latestJobs}) latest
    where created_at > now() - interval '1 day'
    group by image having count(distinct user_id) >= ${leastAccounts}
    order by count(distinct user_id) desc, count(*) desc, image limit ${most}`);
  return rows.map(({ image }) => image);
}
