import 'server-only';

import type { Db } from '@computefabric/db/client';
import { disputeDecisions } from '@computefabric/db/schema/dispute-decisions';
import { disputes } from '@computefabric/db/schema/disputes';
import type { JobId } from '@computefabric/protocol/ids';
import { and, asc, eq } from 'drizzle-orm';
import type { Viewer } from '@/types/market-view.ts';
import type { DisputeItem } from '@/types/receipt-view.ts';
import { recordSentences } from '../dispute-record.ts';

/** The dispute of one of the viewer's jobs, with what was decided; null when it is not contested. */
export async function findDispute(db: Db, viewer: Viewer, jobId: JobId): Promise<DisputeItem | null> {
  const [row] = await db
    .select()
    .from(disputes)
    .where(and(eq(disputes.jobId, jobId), eq(disputes.userId, viewer.userId)));
  if (!row) return null;
  const decisions = await db
    .select()
    .from(disputeDecisions)
    .where(eq(disputeDecisions.disputeId, row.id))
    .orderBy(asc(disputeDecisions.seq));
  return {
    id: row.id,
    state: row.state,
    reason: row.reason,
    message: row.message,
    refundMicros: row.refundMicros,
    createdAt: row.createdAt,
    decisions: decisions.map(({ outcome, blame, rule, explanation, refundMicros, createdAt }) => ({
      outcome,
      blame,
      rule,
      explanation,
      refundMicros,
      at: createdAt,
    })),
    record: recordSentences(row.evidence),
  };
}
