import 'server-only';

import type { Db } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { jobId } from '@computefabric/protocol/ids';
import { and, eq } from 'drizzle-orm';
import type { Viewer } from '@/types/market-view.ts';

/** The row of one of the viewer's jobs; null when there is no such job or it is somebody else's. */
export async function findJob(db: Db, viewer: Viewer, id: string): Promise<typeof jobs.$inferSelect | null> {
  const parsed = jobId.safeParse(id);
  if (!parsed.success) return null;
  const [row] = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.id, parsed.data), eq(jobs.userId, viewer.userId)));
  return row ?? null;
}
