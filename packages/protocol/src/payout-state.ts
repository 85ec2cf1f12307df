import { z } from 'zod';
import { defineMachine } from './machine.ts';

/**
 * Earnings on their way to an owner:
 *
 * - `created`  taken out of what may be paid out; nobody was asked yet
 * - `sending`  the payment provider is being asked: whether it knows of it is not certain
 * - `sent`     it is in the owner's account at the payment provider
 * - `paid`     the owner's bank has it, or the operator paid it by other means
 * - `failed`   refused: it is back in what may be paid out
 * - `reversed` taken back as a whole after it was sent
 */
export const payoutMachine = defineMachine({
  created: { send: 'sending' },
  sending: { confirm: 'sent', refuse: 'failed' },
  sent: { arrive: 'paid', reverse: 'reversed' },
  paid: { reverse: 'reversed' },
  failed: {},
  reversed: {},
});

export const payoutStates = ['created', 'sending', 'sent', 'paid', 'failed', 'reversed'] as const;
export const payoutState = z.enum(payoutStates).meta({ id: 'PayoutState' });
export type PayoutState = z.infer<typeof payoutState>;

/** `stripe`: a transfer to the owner's account there. `manual`: the operator paid and has written it down. */
export const payoutMethods = ['stripe', 'manual'] as const;
export const payoutMethod = z.enum(payoutMethods).meta({ id: 'PayoutMethod' });
export type PayoutMethod = z.infer<typeof payoutMethod>;

/** When what may be paid out is paid out by itself: each day or each Monday at 00:00 UTC, or when asked for. */
export const payoutSchedules = ['daily', 'weekly', 'manual'] as const;
export const payoutSchedule = z.enum(payoutSchedules).meta({ id: 'PayoutSchedule' });
export type PayoutSchedule = z.infer<typeof payoutSchedule>;
