import { z } from 'zod';
import { defineMachine } from './machine.ts';

/** Money for one job: reserved at submit (`pending`), then settled once. */
export const paymentMachine = defineMachine({
  pending: { settle: 'succeeded', fail: 'failed' },
  succeeded: { refund: 'refunded', dispute: 'disputed' },
  failed: {},
  refunded: {},
  disputed: { win: 'succeeded', lose: 'refunded' },
});

export const paymentStates = ['pending', 'succeeded', 'failed', 'refunded', 'disputed'] as const;
export const paymentState = z.enum(paymentStates).meta({ id: 'PaymentState' });
export type PaymentState = z.infer<typeof paymentState>;
