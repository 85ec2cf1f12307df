import { index, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment } from '../columns.ts';

/** Each movement of the market's balance at Stripe, as Stripe lists it; compared with the ledger, line by line. */
export const statementLines = pgTable(
  'statement_lines',
  {
    /** Stripe's BalanceTransaction. */
    id: text().primaryKey(),
    /** Stripe's word: `charge`, `refund`, `adjustment`, `transfer`, `payout`, … */
    type: text().notNull(),
    /** The object that moved it, where there is one. */
    sourceId: text(),
    /** Signed: above zero came in. */
    amountMicros: micros().notNull(),
    /** What Stripe kept of it. */
    feeMicros: micros().notNull(),
    happenedAt: moment().notNull(),
    importedAt: moment().notNull().defaultNow(),
  },
  (t) => [index('statement_lines_source').on(t.sourceId)],
);
