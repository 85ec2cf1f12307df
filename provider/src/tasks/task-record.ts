import { reportedEndReason } from '@computefabric/protocol/end-reason';
import { taskState } from '@computefabric/protocol/lease-state';
import { taskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { countersignature } from '@computefabric/protocol/receipts/metering';
import { z } from 'zod';
import { moment } from '../home/boot-clock.ts';

/** Why a task is to stop before its program ends by itself. */
export const stopCause = z.enum([
  /** The renter or the market wants it. */
  'cancelled',
  /** It has run as long as it may. */
  'time-limit',
  /** The owner takes the machine back. */
  'provider-left',
  /** Nothing was heard of the orchestrator for as long as the lease lives: the job may run elsewhere already. */
  'lease-expired',
]);
export type StopCause = z.infer<typeof stopCause>;

/** How the program ended. */
export const taskExit = z.strictObject({
  /** Null when the engine does not know. */
  code: z.number().int().nullable(),
  outOfMemory: z.boolean(),
});
export type TaskExit = z.infer<typeof taskExit>;

/** What the try is reported to have ended by. */
export const taskOutcome = z.strictObject({ reason: reportedEndReason, detail: z.string().nullable() });
export type TaskOutcome = z.infer<typeof taskOutcome>;

/**
 * One task as its journal keeps it: a list of facts, each written when it has become true, from which the next
 * step follows. A process that finds it after a crash goes on where the facts end.
 */
export const taskRecord = z.strictObject({
  version: z.literal(1),
  spec: taskSpec,
  /** Follows from the facts; written for readers other than the task itself. */
  state: taskState,
  /** The task dies then, unless the orchestrator is heard again; null until the offer is accepted. */
  aliveUntil: moment.nullable(),
  /** The image as it lies on the machine: what a tag named when the task was prepared. */
  image: z.strictObject({ id: z.string(), digest: z.string().nullable() }).nullable(),
  containerId: z.string().nullable(),
  /** The state of an earlier try has been put back. Not in journals of older agents. */
  restored: z.boolean().default(false),
  /** When the program was started. */
  startedAt: moment.nullable(),
  startReported: z.boolean(),
  stop: stopCause.nullable(),
  /** What the renter is told of it. Not in journals of older agents. */
  stopDetail: z.string().nullable().default(null),
  /** The program that is to stop is killed then, when that is sooner than its grace time. */
  killBy: moment.nullable().default(null),
  exit: taskExit.nullable(),
  exitReported: z.boolean(),
  outcome: taskOutcome.nullable(),
  logs: z.strictObject({
    chunks: z.number().int().min(0),
    acknowledged: z.number().int().min(0),
    /** Bytes of the engine's output that the chunks hold. The spool file is the truth of it. */
    stdoutBytes: z.number().int().min(0),
    stderrBytes: z.number().int().min(0),
  }),
  /** What the try had to save of its state has been, or cannot be. */
  stateSaved: z.boolean().default(false),
  /** Output and result files have arrived. */
  saved: z.boolean(),
  endReported: z.boolean(),
  /** Our signature of the last record of its running time, sent with the release. Not in journals of older agents. */
  countersigned: countersignature.nullable().default(null),
  /** Container and all are gone from this machine. */
  removed: z.boolean(),
  released: z.boolean(),
});
export type TaskRecord = z.infer<typeof taskRecord>;

/** A task that has just been offered. */
export function newTaskRecord(spec: TaskRecord['spec']): TaskRecord {
  return {
    version: 1,
    spec,
    state: 'received',
    aliveUntil: null,
    image: null,
    containerId: null,
    restored: false,
    startedAt: null,
    startReported: false,
    stop: null,
    stopDetail: null,
    killBy: null,
    exit: null,
    exitReported: false,
    outcome: null,
    logs: { chunks: 0, acknowledged: 0, stdoutBytes: 0, stderrBytes: 0 },
    stateSaved: false,
    saved: false,
    endReported: false,
    countersigned: null,
    removed: false,
    released: false,
  };
}
