import { z } from 'zod';
import { defineMachine } from './machine.ts';

/**
 * A renter contests a job. The operator may still grant what was denied; money that was given back stays given, as a
 * payment that was refunded does.
 */
export const disputeMachine = defineMachine({
  open: { grant: 'granted', deny: 'denied' },
  granted: {},
  denied: { overrule: 'granted' },
});

export const disputeStates = ['open', 'granted', 'denied'] as const;
export const disputeState = z.enum(disputeStates).meta({ id: 'DisputeState' });
export type DisputeState = z.infer<typeof disputeState>;

/** What the renter says was wrong. */
export const disputeReasons = [
  'wrong-result',
  'damaged-result',
  'machine-failed',
  'too-slow',
  'wrong-bill',
  'other',
] as const;
export const disputeReason = z.enum(disputeReasons).meta({ id: 'DisputeReason' });
export type DisputeReason = z.infer<typeof disputeReason>;

export const disputeOutcomes = ['granted', 'denied'] as const;
export const disputeOutcome = z.enum(disputeOutcomes);
export type DisputeOutcome = z.infer<typeof disputeOutcome>;

/** Who pays what is given back: the owner of the machine, or the market. */
export const disputeBlames = ['provider', 'platform', 'nobody'] as const;
export const disputeBlame = z.enum(disputeBlames);
export type DisputeBlame = z.infer<typeof disputeBlame>;
