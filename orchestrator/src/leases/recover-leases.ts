import type { Db } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import { inArray, sql } from 'drizzle-orm';
import { fromNow } from './lease.store.ts';

/**
 * After a time in which no orchestrator was there to hear heartbeats, silence proves nothing: every open lease
 * gets a fresh term, so that a restart of ours never kills a job of theirs.
 */
export async function extendLeasesAfterRestart(db: Db, ttlSeconds: number): Promise<number> {
  const rows = await db
    .update(leases)
    .set({ expiresAt: sql`greatest(${leases.expiresAt}, ${fromNow(ttlSeconds)})` })
    .where(inArray(leases.state, ['active', 'releasing']))
    .returning({ id: leases.id });
  return rows.length;
}
