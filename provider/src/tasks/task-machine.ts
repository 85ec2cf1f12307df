import type { TaskState } from '@computefabric/protocol/lease-state';
import { never } from '@computefabric/runtime/invariant';
import type { StopCause, TaskExit, TaskOutcome, TaskRecord } from './task-record.ts';

/** What is done with a task next; each step adds the fact whose absence asks for it. */
export type TaskStep =
  | 'accept'
  | 'give-up'
  | 'pull-image'
  | 'create-container'
  | 'restore-state'
  | 'start-container'
  | 'run-container'
  | 'report-exit'
  | 'save-state'
  | 'save'
  | 'report-end'
  | 'clean-up'
  | 'report-release'
  | 'forget';

/**
 * The next step of a task, from its facts alone: the walk of a fresh task and that of one found after a crash
 * are the same.
 */
export function nextStep(task: TaskRecord): TaskStep {
  if (!task.aliveUntil) return 'accept';
  if (!task.outcome) {
    if (!task.startedAt && task.stop) return 'give-up';
    if (!task.image) return 'pull-image';
    if (!task.containerId) return 'create-container';
    if (task.spec.resumed && !task.restored) return 'restore-state';
    if (!task.startedAt) return 'start-container';
    return 'run-container';
  }
  // Nobody waits for this answer, and the job may run elsewhere: first of all the container goes.
  if (task.stop === 'lease-expired' && !task.removed) return 'clean-up';
  if (task.startedAt && !task.exitReported) return 'report-exit';
  if (movesState(task) && !task.stateSaved) return 'save-state';
  if (!task.saved) return 'save';
  if (!task.endReported) return 'report-end';
  if (!task.removed) return 'clean-up';
  return task.released ? 'forget' : 'report-release';
}

/** What the market is told that the task is doing. */
export function stateOf(task: TaskRecord): TaskState {
  if (task.endReported) return 'reported';
  if (task.outcome) return 'saving';
  if (task.stop) return 'stopping';
  if (task.startedAt) return 'running';
  if (task.image) return 'creating';
  return task.aliveUntil ? 'pulling' : 'received';
}

/**
 * Whether the state that a program has left is to be saved once more: it was asked to stop, so it goes on
 * elsewhere or was cancelled, which the orchestrator knows and then wants no state.
 */
function movesState({ startedAt, containerId, stop, spec }: TaskRecord): boolean {
  if (!startedAt || !containerId || !spec.checkpoint) return false;
  return stop === 'cancelled' || stop === 'provider-left';
}

/** Whether a program may be running in the task's container: what must not outlive the lease. */
export function mayRun(task: TaskRecord): boolean {
  return !task.outcome && !task.removed;
}

/**
 * What a program's end is reported as. A stop that was asked for before the end explains it whatever the exit
 * code is; the kernel's word about memory goes before the exit code, which a program may choose.
 */
export function outcomeOfExit(
  exit: TaskExit,
  stop: StopCause | null,
  stopDetail: string | null = null,
): TaskOutcome {
  if (stop) return outcomeOfStop(stop, stopDetail);
  if (exit.outOfMemory) return { reason: 'out-of-memory', detail: null };
  if (exit.code === null) return { reason: 'provider-error', detail: 'The engine lost the exit code.' };
  return { reason: exit.code === 0 ? 'exited-zero' : 'exited-nonzero', detail: null };
}

/** @param detail what was said beside the cause */
export function outcomeOfStop(stop: StopCause, detail: string | null = null): TaskOutcome {
  switch (stop) {
    case 'cancelled':
    case 'time-limit':
    case 'provider-left':
      return { reason: stop, detail };
    case 'lease-expired':
      return {
        reason: 'provider-error',
        detail: 'The machine heard nothing from the market for a whole lease time and stopped the program.',
      };
    default:
      return never(stop, 'stop cause');
  }
}

/** Whether a try that ended so has results worth bringing back: only one that is not run again elsewhere. */
export function bringsResults(task: TaskRecord): boolean {
  switch (task.outcome?.reason) {
    case 'exited-zero':
    case 'exited-nonzero':
    case 'out-of-memory':
    case 'time-limit':
    case 'cancelled':
      return task.startedAt !== null && task.containerId !== null;
    case 'image-unavailable':
    case 'start-failed':
    case 'provider-error':
    case 'provider-left':
    case undefined:
      return false;
  }
}
