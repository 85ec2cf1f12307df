import { z } from 'zod';
import { defineMachine } from './machine.ts';

/**
 * Money on its way from a card:
 *
 * - `open`         nothing is certain: a person is at the checkout, or the card is being charged
 * - `needs_action` the bank wants its card holder to confirm; the top-up has a link for that
 * - `succeeded`    paid and booked
 * - `failed`       refused by the bank
 * - `canceled`     given up before it was paid
 *
 * What was given up and is paid all the same is booked: the money is there.
 */
export const topUpMachine = defineMachine({
  open: { pay: 'succeeded', refuse: 'failed', ask: 'needs_action', cancel: 'canceled' },
  needs_action: { pay: 'succeeded', refuse: 'failed', cancel: 'canceled', again: 'open' },
  succeeded: {},
  failed: { pay: 'succeeded', again: 'open' },
  canceled: { pay: 'succeeded' },
});

export const topUpStates = ['open', 'needs_action', 'succeeded', 'failed', 'canceled'] as const;
export const topUpState = z.enum(topUpStates).meta({ id: 'TopUpState' });
export type TopUpState = z.infer<typeof topUpState>;

/**
 * How the card is charged: `checkout` and `element` by a person who is there, `automatic` because the balance
 * fell below a threshold, `per_job` for jobs that have ended.
 */
export const topUpMethods = ['checkout', 'element', 'automatic', 'per_job'] as const;
export const topUpMethod = z.enum(topUpMethods).meta({ id: 'TopUpMethod' });
export type TopUpMethod = z.infer<typeof topUpMethod>;

/** `prepaid`: a balance that is topped up. `per_job`: the saved card is charged for each job that has ended. */
export const billingModes = ['prepaid', 'per_job'] as const;
export const billingMode = z.enum(billingModes).meta({ id: 'BillingMode' });
export type BillingMode = z.infer<typeof billingMode>;

/** Why an account may not submit: a card holder's claim is open, or something is owed. */
export const freezeCauses = ['dispute', 'unpaid'] as const;
export const freezeCause = z.enum(freezeCauses);
export type FreezeCause = z.infer<typeof freezeCause>;

export const cardRefundStates = ['pending', 'succeeded', 'failed'] as const;
export const cardRefundState = z.enum(cardRefundStates).meta({ id: 'CardRefundState' });
export type CardRefundState = z.infer<typeof cardRefundState>;

export const cardDisputeStates = ['open', 'won', 'lost'] as const;
export const cardDisputeState = z.enum(cardDisputeStates).meta({ id: 'CardDisputeState' });
export type CardDisputeState = z.infer<typeof cardDisputeState>;
