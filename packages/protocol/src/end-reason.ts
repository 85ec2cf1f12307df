import { z } from 'zod';
import type { FinalJobState } from './job-state.ts';

/** Whose doing it was that a try ended. */
export type Fault = 'nobody' | 'renter' | 'provider' | 'platform';

export interface EndReasonRow {
  /** The job's final state when it is not tried again. */
  finalState: FinalJobState;
  fault: Fault;
  /** Tried again on a machine, free of charge and uncounted. */
  requeue: boolean;
  /** The program's own failure: tried again while the job's `retries` allow it, each try as billable as this. */
  retryable: boolean;
  /** A machine or the market spoiled a try that had begun: the operator's MAX_ATTEMPTS counts these. */
  spoils: boolean;
  /** The next try waits, longer after each in a row. Not after a move that the market or the owner asked for. */
  backsOff: boolean;
  /** The renter pays for the metered seconds of this try and its owner earns them. */
  billable: boolean;
  /** The machine is not offered anything for a moment, longer after each such end in a row. */
  restsMachine: boolean;
  /** Of a try that a checkpoint has saved, the time up to that checkpoint is paid for; the rest is free. */
  billedToCheckpoint: boolean;
  /** Speaks for the machine in its record: it brought the try to its end. */
  countsForProvider: boolean;
  /** Speaks against the machine in its record. */
  countsAgainstProvider: boolean;
  /** What the renter reads. */
  sentence: string;
}

type Flags = Partial<Omit<EndReasonRow, 'finalState' | 'fault' | 'sentence'>>;

/** The program ran, and the renter's program, wish or limit ended it. */
const ran: Flags = { billable: true, countsForProvider: true };
/** It was under way and was spoiled for the renter. */
const spoiled: Flags = { requeue: true, spoils: true, backsOff: true };

/**
 * The one road out of a lease. State, retry, bill and reputation all follow from the reason, so they cannot
 * disagree. Which reasons are billable is a product decision: docs/decisions/0005-end-reasons-and-billing.md.
 */
export const endReasons = {
  'exited-zero': row('succeeded', 'nobody', ran, 'The program ended successfully.'),
  'exited-nonzero': row('failed', 'renter', { ...ran, retryable: true }, 'The program ended with an error.'),
  'out-of-memory': row(
    'failed',
    'renter',
    { ...ran, retryable: true },
    'The program needed more memory than the job asked for and was stopped. Ask for more with --memory.',
  ),
  'time-limit': row(
    'expired',
    'renter',
    ran,
    'The job reached its time limit and was stopped. Ask for more with --time-limit.',
  ),
  'funds-exhausted': row('expired', 'renter', ran, 'The job reached its money limit and was stopped.'),
  // Neutral for the machine: a renter's wish says nothing of it, and could be used to make a record.
  cancelled: row('cancelled', 'renter', { billable: true }, 'The job was cancelled.'),
  'image-unavailable': row(
    'failed',
    'renter',
    { retryable: true },
    'The image could not be pulled. Check its name and that the machine may read it.',
  ),
  'start-failed': row(
    'failed',
    'renter',
    { retryable: true },
    'The container could not start: the command or the image is not usable.',
  ),
  'no-match-in-time': row('expired', 'nobody', {}, 'No machine that fits became free in the time allowed.'),
  'provider-lost': row(
    'failed',
    'provider',
    { ...spoiled, countsAgainstProvider: true },
    'The machine stopped answering. This try is not billed.',
  ),
  'provider-error': row(
    'failed',
    'provider',
    { ...spoiled, countsAgainstProvider: true },
    'The machine could not run the job. This try is not billed.',
  ),
  'provider-left': row(
    'failed',
    'provider',
    { requeue: true, billedToCheckpoint: true },
    'The owner took the machine back. Of this try only what a checkpoint has saved is billed.',
  ),
  preempted: row(
    'failed',
    'platform',
    { requeue: true, billedToCheckpoint: true },
    'The spot job gave way to an on-demand job. Of this try only what a checkpoint has saved is billed.',
  ),
  superseded: row(
    'failed',
    'provider',
    { requeue: true },
    'A machine came back after a replacement had started, and the other try was kept. This one is not billed.',
  ),
  'dependency-failed': row(
    'cancelled',
    'renter',
    {},
    'A job that this one comes after did not end as it had to; this one never ran.',
  ),
  'peer-lost': row(
    'failed',
    'provider',
    { requeue: true, billedToCheckpoint: true },
    'Another machine of the gang was lost; all of them start again together. Of this try only what a checkpoint has saved is billed.',
  ),
  'peer-ended': row(
    'cancelled',
    'renter',
    { billable: true },
    'Another rank of the gang ended without success, so this one was stopped.',
  ),
  'offer-rejected': row(
    'failed',
    'provider',
    { requeue: true, backsOff: true, restsMachine: true },
    'The machine declined the job.',
  ),
  'offer-expired': row(
    'failed',
    'provider',
    { requeue: true, backsOff: true, restsMachine: true, countsAgainstProvider: true },
    'The machine did not answer the offer.',
  ),
  'platform-error': row('failed', 'platform', spoiled, 'The market failed. This try is not billed.'),
} as const satisfies Record<string, EndReasonRow>;

export type EndReason = keyof typeof endReasons;
export const endReasonCodes = Object.keys(endReasons) as [EndReason, ...EndReason[]];
export const endReason = z.enum(endReasonCodes).meta({ id: 'EndReason' });

/** Reasons a machine may give for a try that it ends. The others are the orchestrator's to say. */
export const reportedEndReasons = [
  'exited-zero',
  'exited-nonzero',
  'out-of-memory',
  'time-limit',
  'cancelled',
  'image-unavailable',
  'start-failed',
  'provider-error',
  'provider-left',
] as const satisfies readonly EndReason[];
export const reportedEndReason = z.enum(reportedEndReasons);
export type ReportedEndReason = z.infer<typeof reportedEndReason>;

export function endReasonRow(reason: EndReason): EndReasonRow {
  return endReasons[reason];
}

function row(finalState: FinalJobState, fault: Fault, flags: Flags, sentence: string): EndReasonRow {
  return {
    finalState,
    fault,
    requeue: false,
    retryable: false,
    spoils: false,
    backsOff: false,
    restsMachine: false,
    billable: false,
    billedToCheckpoint: false,
    countsForProvider: false,
    countsAgainstProvider: false,
    ...flags,
    sentence,
  };
}
