import 'server-only';

import type { Db } from '@computefabric/db/client';
import { artifacts } from '@computefabric/db/schema/artifacts';
import { checkpoints } from '@computefabric/db/schema/checkpoints';
import { jobEvents } from '@computefabric/db/schema/job-events';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { jobId } from '@computefabric/protocol/ids';
import { and, asc, desc, eq, ne } from 'drizzle-orm';
import type { AttemptView, JobView } from '@/types/job-view.ts';
import type { Viewer } from '@/types/market-view.ts';
import { jobTerms } from '../job-terms.ts';
import { jobTimeline } from '../job-timeline.ts';
import { commandLine } from '../job-to-draft.ts';
import { findDispute } from './find-dispute.ts';
import { databaseNow, gpusOf, toListItem } from './job-rows.ts';

/** A job of a thousand tries has gone wrong in a way that more rows do not explain. */
const mostEvents = 500;

/** One of the viewer's jobs, whole; null when there is no such job or it is somebody else's. */
export async function getJob(
  db: Db,
  viewer: Viewer,
  id: string,
): Promise<{ job: Omit<JobView, 'playMoney'>; now: Date } | null> {
  const parsedId = jobId.safeParse(id);
  if (!parsedId.success) return null;
  const [now, row] = await Promise.all([
    databaseNow(db),
    db.query.jobs.findFirst({
      where: and(eq(jobs.id, parsedId.data), eq(jobs.userId, viewer.userId)),
      with: {
        leases: { orderBy: asc(leases.attempt), with: { provider: { columns: { name: true } } } },
        events: { orderBy: asc(jobEvents.seq), limit: mostEvents },
        artifacts: { orderBy: asc(artifacts.path) },
        payment: true,
      },
    }),
  ]);
  if (!row) return null;

  const gpusById = await gpusOf(db, row.leases);
  const saved = row.checkpoint
    ? await db
        .select()
        .from(checkpoints)
        .where(and(eq(checkpoints.jobId, row.id), ne(checkpoints.state, 'arriving')))
        .orderBy(desc(checkpoints.takenAt), desc(checkpoints.id))
    : [];
  const item = toListItem(row, gpusById, now);
  const dispute = item.isFinal ? await findDispute(db, viewer, row.id) : null;
  const attemptNumbers = new Map(row.leases.map((lease) => [lease.id, lease.attempt]));
  const attempts: AttemptView[] = row.leases.map((lease) => ({
    id: lease.id,
    number: lease.attempt,
    state: lease.state,
    taskState: lease.taskState,
    progress: lease.progress
      ? { doneBytes: lease.progress.done_bytes, totalBytes: lease.progress.total_bytes }
      : null,
    machineName: lease.provider.name,
    gpus: lease.gpuIds.map((gpu) => gpusById.get(gpu)).filter((gpu) => gpu !== undefined),
    microsPerHour: lease.pricePerHourMicros,
    offeredAt: lease.offeredAt,
    acceptedAt: lease.acceptedAt,
    startedAt: lease.startedAt,
    exitedAt: lease.exitedAt,
    endedAt: lease.endedAt,
    endReason: lease.endReason,
    exitCode: lease.exitCode,
    billedMs: lease.billedMs,
    costMicros: lease.costMicros,
  }));
  return {
    now,
    job: {
      ...item,
      commandLine: commandLine(row.command),
      env: Object.entries(row.env).map(([name, value]) => ({ name, value })),
      terms: jobTerms(row),
      usesGpus: row.gpus > 0,
      maxPricePerHourMicros: row.maxPricePerHourMicros,
      endReason: row.endReason,
      cancelRequestedAt: row.cancelRequestedAt,
      billedMs: attempts.reduce((sum, attempt) => sum + attempt.billedMs, 0),
      holdMicros: row.holdMicros,
      maxCostMicros: row.maxCostMicros,
      onCostLimit: row.onCostLimit,
      paymentState: row.payment?.state ?? 'pending',
      isSettled: row.payment?.settledAt != null,
      dispute,
      attempts,
      events: row.events.map(({ seq, at, type, message }) => ({ seq, at, type, message })),
      artifacts: row.artifacts.map((artifact) => ({
        id: artifact.id,
        path: artifact.path,
        attempt: attemptNumbers.get(artifact.leaseId) ?? 0,
        sizeBytes: artifact.sizeBytes,
        sha256: artifact.sha256,
      })),
      stateDirectory: row.checkpoint?.path ?? null,
      checkpoints: saved.map(({ id: checkpointId, attempt, takenAt, sizeBytes, files, state }) => ({
        id: checkpointId,
        attempt,
        takenAt,
        sizeBytes,
        files,
        isDamaged: state === 'damaged',
        isNext: checkpointId === row.checkpointId && !item.isFinal,
      })),
      timeline: jobTimeline({
        state: row.state,
        isFinal: item.isFinal,
        submittedAt: row.createdAt,
        queuedAt: row.queuedAt,
        finishedAt: row.finishedAt,
        attempt: attempts.at(-1) ?? null,
      }),
    },
  };
}
