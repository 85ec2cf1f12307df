import type { PayoutId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, index, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment } from '../columns.ts';
import { payouts } from './payouts.ts';

/** What came back of a payout after it was sent: a reversal at Stripe, or the operator's correction of a manual one. */
export const payoutReversals = pgTable(
  'payout_reversals',
  {
    /** Stripe's id of it (`trr_…`), or `correction:<payout>`. */
    id: text().primaryKey(),
    payoutId: text()
      .$type<PayoutId>()
      .notNull()
      .references(() => payouts.id),
    amountMicros: micros().notNull(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('payout_reversals_amount', sql`${t.amountMicros} > 0`),
    index('payout_reversals_payout').on(t.payoutId),
  ],
);
