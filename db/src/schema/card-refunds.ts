import type { CardRefundId, TopUpId, UserId } from '@computefabric/protocol/ids';
import { cardRefundStates } from '@computefabric/protocol/top-up-state';
import { sql } from 'drizzle-orm';
import { check, index, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { topUps } from './top-ups.ts';
import { users } from './users.ts';

/** Money back to the card that it came from. Booked with the row; booked back when the bank does not take it. */
export const cardRefunds = pgTable(
  'card_refunds',
  {
    id: text().$type<CardRefundId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    topUpId: text()
      .$type<TopUpId>()
      .notNull()
      .references(() => topUps.id),
    amountMicros: micros().notNull(),
    state: text({ enum: cardRefundStates }).notNull().default('pending'),
    /** Stripe's Refund; null until Stripe has answered. */
    stripeRefundId: text().unique(),
    failure: text(),
    attempts: integer().notNull().default(0),
    notBefore: moment().notNull().defaultNow(),
    createdAt: moment().notNull().defaultNow(),
    settledAt: moment(),
  },
  (t) => [
    check('card_refunds_state', oneOf(t.state, cardRefundStates)),
    check('card_refunds_amount', sql`${t.amountMicros} > 0 and ${t.amountMicros} % 10000 = 0`),
    index('card_refunds_user').on(t.userId, t.id.desc()),
    index('card_refunds_top_up').on(t.topUpId),
    index('card_refunds_due').on(t.notBefore).where(sql`${t.state} = 'pending'`),
  ],
);
