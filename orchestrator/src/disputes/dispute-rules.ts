import type { DisputeBlame, DisputeReason } from '@computefabric/protocol/dispute';
import { type EndReason, endReasonRow } from '@computefabric/protocol/end-reason';
import type { JobId, LeaseId, ProviderId } from '@computefabric/protocol/ids';

/** What our own records say of a contested job. */
export interface DisputeFacts {
  jobId: JobId;
  endReason: EndReason;
  tries: readonly DisputedTry[];
  /** Result files whose stored bytes are not what they were when they arrived. */
  damagedResults: readonly string[];
}

export interface DisputedTry {
  leaseId: LeaseId;
  providerId: ProviderId;
  endReason: EndReason;
  exitCode: number | null;
  billedMs: number;
  costMicros: bigint;
  /** The operator has suspended the machine since. */
  machineSuspended: boolean;
  /** Other renters whose tries this machine spoiled within a day of this one, and how many of those there were. */
  otherRentersSpoiled: number;
  othersSpoiled: number;
}

export interface Ruling {
  rule: string;
  blame: DisputeBlame;
  /** What is given back: the cost of these tries. */
  leaseIds: LeaseId[];
  /** For both sides. */
  explanation: string;
}

interface Rule {
  name: string;
  blame: DisputeBlame;
  /** Which renter's reasons it is looked at for; all when absent. */
  for?: readonly DisputeReason[];
  /** The billed tries that it speaks of. */
  about: (one: DisputedTry, facts: DisputeFacts) => boolean;
  explanation: string;
}

/** Of other renters, on the same machine, within a day: one may be bad luck, two of two people are the machine. */
const spoiledTries = 2;
const spoiledRenters = 2;

/**
 * Cases that decide themselves, the first that fits. They only ever grant, and only on what the renter of the job
 * cannot bring about: our records of the machine, of other people's jobs, and of what we store. All else waits for the
 * operator.
 */
export const disputeRules: readonly Rule[] = [
  {
    name: 'billed-despite-fault',
    blame: 'provider',
    about: ({ endReason }) => {
      const row = endReasonRow(endReason);
      return !row.billable && !row.billedToCheckpoint;
    },
    explanation: 'The try ended in a way that is free, and was billed all the same.',
  },
  {
    name: 'result-damaged',
    blame: 'platform',
    about: (_one, { damagedResults }) => damagedResults.length > 0,
    explanation: 'A result file is not stored any more as it arrived: its hash is another one.',
  },
  {
    name: 'machine-suspended',
    blame: 'provider',
    about: ({ machineSuspended }) => machineSuspended,
    explanation: 'The operator has suspended the machine since.',
  },
  {
    name: 'machine-failed-others',
    blame: 'provider',
    for: ['machine-failed', 'wrong-result', 'too-slow', 'damaged-result'],
    about: (one) =>
      // A program that succeeded was served, whatever the machine did to others.
      endReasonRow(one.endReason).retryable &&
      one.othersSpoiled >= spoiledTries &&
      one.otherRentersSpoiled >= spoiledRenters,
    explanation: 'The machine spoiled jobs of other renters within a day of this one.',
  },
];

/** What follows from the facts; null: a person has to look. */
export function ruleOn(facts: DisputeFacts, reason: DisputeReason): Ruling | null {
  const billed = facts.tries.filter(({ costMicros }) => costMicros > 0n);
  for (const rule of disputeRules) {
    if (rule.for && !rule.for.includes(reason)) continue;
    const about = billed.filter((one) => rule.about(one, facts));
    if (about.length === 0) continue;
    const { name, blame, explanation } = rule;
    return { rule: name, blame, explanation, leaseIds: about.map(({ leaseId }) => leaseId) };
  }
  return null;
}
