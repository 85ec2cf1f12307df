import { z } from 'zod';
import { defineMachine } from './machine.ts';

/**
 * One try of a job on one machine. GPUs are free again only in a terminal state.
 *
 * - `offered`   the machine has been asked; the offer expires by itself
 * - `active`    accepted; kept alive by heartbeats, expires by itself
 * - `silent`    accepted, then not heard of for longer than its job allows; it may come back and be kept, and
 *   holds nothing of its machine meanwhile
 * - `releasing` the try is over and accounted for; the machine removes the container
 * - `released`  the machine said that everything is gone
 * - `rejected`, `withdrawn`, `expired`  never accepted: refused, taken back, unanswered
 * - `lost`      accepted, then silent for longer than the lease time
 */
export const leaseMachine = defineMachine({
  offered: { accept: 'active', reject: 'rejected', withdraw: 'withdrawn', expire: 'expired' },
  active: { end: 'releasing', lose: 'lost', silence: 'silent' },
  silent: { return: 'active', lose: 'lost' },
  releasing: { release: 'released', lose: 'lost' },
  released: {},
  rejected: {},
  withdrawn: {},
  expired: {},
  lost: {},
});

export const leaseStates = [
  'offered',
  'active',
  'silent',
  'releasing',
  'released',
  'rejected',
  'withdrawn',
  'expired',
  'lost',
] as const;
export const leaseState = z.enum(leaseStates).meta({ id: 'LeaseState' });
export type LeaseState = z.infer<typeof leaseState>;
export const openLeaseStates = leaseStates.filter((state) => !leaseMachine.isTerminal(state));
/** States in which a try takes GPUs, cores and memory of its machine. */
export const holdingLeaseStates = ['offered', 'active', 'releasing'] as const satisfies readonly LeaseState[];

/** Why the orchestrator wants a running try to stop. It decides how the try's end is judged. */
export const stopReasons = [
  'cancelled',
  'time-limit',
  'preempted',
  'drained',
  'superseded',
  'peer-lost',
  'peer-ended',
  'funds-exhausted',
] as const;
export type StopReason = (typeof stopReasons)[number];

/** What the orchestrator wants of a lease. Only the orchestrator writes it. */
export const desiredStates = ['run', 'stop'] as const;
export const desiredState = z.enum(desiredStates);
export type DesiredState = z.infer<typeof desiredState>;

/** What the machine says that its task is doing. Only the machine's reports write it. */
export const taskMachine = defineMachine({
  received: { prepare: 'pulling', stop: 'stopping', fail: 'saving' },
  pulling: { pulled: 'creating', stop: 'stopping', fail: 'saving' },
  creating: { create: 'running', stop: 'stopping', fail: 'saving' },
  running: { stop: 'stopping', exit: 'saving' },
  stopping: { exit: 'saving' },
  saving: { report: 'reported' },
  reported: {},
});
export const taskStates = [
  'received',
  'pulling',
  'creating',
  'running',
  'stopping',
  'saving',
  'reported',
] as const;
export const taskState = z.enum(taskStates).meta({ id: 'TaskState' });
export type TaskState = z.infer<typeof taskState>;
