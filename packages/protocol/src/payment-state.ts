import { z } from 'zod';
import { defineMachine } from './machine.ts';

/**
 * Money for one job: reserved at submit (`pending`), then settled once. Where the card is charged for each job,
 * it stays `pending` until that has happened; `failed` is a refused card, and what was refused can be paid later.
 */
export const paymentMachine = defineMachine({
  pending: { settle: 'succeeded', fail: 'failed' },
  succeeded: { refund: 'refunded', dispute: 'disputed' },
  failed: { pay: 'succeeded' },
  refunded: {},
  disputed: { win: 'succeeded', lose: 'refunded' },
});

export const paymentStates = ['pending', 'succeeded', 'failed', 'refunded', 'disputed'] as const;
export const paymentState = z.enum(paymentStates).meta({ id: 'PaymentState' });
export type PaymentState = z.infer<typeof paymentState>;
