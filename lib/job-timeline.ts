import type { JobState } from '@computefabric/protocol/job-state';
import type { TaskState } from '@computefabric/protocol/lease-state';
import type { Stretch, StretchState } from '../types/job-view.ts';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';

export interface TimelineFacts {
  state: JobState;
  isFinal: boolean;
  submittedAt: Date;
  /** Since when it waits, or waited, for its latest machine. */
  queuedAt: Date;
  finishedAt: Date | null;
  /** The latest try; null before the first. */
  attempt: {
    number: number;
    machineName: string;
    taskState: TaskState | null;
    progress: { doneBytes: number; totalBytes: number | null } | null;
    offeredAt: Date;
    acceptedAt: Date | null;
    startedAt: Date | null;
    exitedAt: Date | null;
    endedAt: Date | null;
  } | null;
}

/**
 * The life of a job as five stretches, each with its beginning, its end and what is being waited for. A job
 * that was tried again shows its latest try; the earlier ones are in the list of tries.
 */
export function jobTimeline(facts: TimelineFacts): Stretch[] {
  // While it waits again after a failed try, the old try's stretches are history.
  const attempt = facts.state === 'queued' ? null : facts.attempt;
  const waitFrom = new Date(Math.max(facts.queuedAt.getTime(), facts.submittedAt.getTime()));
  const spans: Omit<Stretch, 'state'>[] = [
    {
      key: 'queued',
      label: 'Queued',
      note: attempt ? (attempt.number > 1 ? `try ${attempt.number}` : null) : 'waiting for a machine',
      billed: false,
      startedAt: waitFrom,
      endedAt: attempt?.offeredAt ?? null,
    },
    {
      key: 'matched',
      label: 'Matched',
      note: attempt ? (attempt.acceptedAt ? attempt.machineName : `asking ${attempt.machineName}`) : null,
      billed: false,
      startedAt: attempt?.offeredAt ?? null,
      endedAt: attempt?.acceptedAt ?? null,
    },
    {
      key: 'image',
      label: 'Image',
      note: attempt ? imageNote(attempt.taskState, attempt.progress) : null,
      billed: false,
      startedAt: attempt?.acceptedAt ?? null,
      endedAt: attempt?.startedAt ?? null,
    },
    {
      key: 'running',
      label: 'Running',
      note: null,
      billed: true,
      startedAt: attempt?.startedAt ?? null,
      endedAt: attempt?.exitedAt ?? (attempt?.startedAt ? attempt.endedAt : null),
    },
    {
      key: 'saving',
      label: 'Saved',
      note: null,
      billed: false,
      startedAt: attempt?.exitedAt ?? null,
      endedAt: attempt?.exitedAt ? attempt.endedAt : null,
    },
  ];
  const stretches = spans.map((span) => ({ ...span, state: stateOf(span, facts) }));
  return facts.isFinal ? closeAtTheEnd(stretches, facts) : stretches;
}

function stateOf(span: Omit<Stretch, 'state'>, facts: TimelineFacts): StretchState {
  if (!span.startedAt) return facts.isFinal ? 'skipped' : 'ahead';
  return span.endedAt ? 'done' : 'current';
}

/** Gives the last stretch that was under way its end, and marks it when the job did not succeed. */
function closeAtTheEnd(stretches: Stretch[], facts: TimelineFacts): Stretch[] {
  const closed = stretches.map((stretch) =>
    stretch.state === 'current' ? { ...stretch, state: 'done' as const, endedAt: facts.finishedAt } : stretch,
  );
  if (facts.state === 'succeeded') return closed;
  const ending: StretchState = facts.state === 'cancelled' ? 'cancelled' : 'went-wrong';
  const last = closed.findLast((stretch) => stretch.key !== 'saving' && stretch.startedAt !== null);
  return closed.map((stretch) => (stretch === last ? { ...stretch, state: ending } : stretch));
}

function imageNote(
  taskState: TaskState | null,
  progress: { doneBytes: number; totalBytes: number | null } | null,
): string | null {
  if (taskState === 'pulling' && progress) {
    const done = formatBytes(progress.doneBytes);
    return progress.totalBytes ? `${done} of ${formatBytes(progress.totalBytes)}` : `${done} so far`;
  }
  if (taskState === 'pulling') return 'downloading the image';
  if (taskState === 'creating') return 'starting the container';
  return null;
}
