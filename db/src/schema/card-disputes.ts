import type { TopUpId, UserId } from '@computefabric/protocol/ids';
import { cardDisputeStates } from '@computefabric/protocol/top-up-state';
import { sql } from 'drizzle-orm';
import { check, index, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { topUps } from './top-ups.ts';
import { users } from './users.ts';

/** A card holder's claim at their bank. Stripe's id names it. */
export const cardDisputes = pgTable(
  'card_disputes',
  {
    id: text().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    topUpId: text()
      .$type<TopUpId>()
      .notNull()
      .references(() => topUps.id),
    amountMicros: micros().notNull(),
    state: text({ enum: cardDisputeStates }).notNull().default('open'),
    /** Stripe's word for it, such as `fraudulent`. */
    reason: text().notNull(),
    evidenceDueBy: moment(),
    evidenceSentAt: moment(),
    attempts: integer().notNull().default(0),
    notBefore: moment().notNull().defaultNow(),
    createdAt: moment().notNull().defaultNow(),
    closedAt: moment(),
  },
  (t) => [
    check('card_disputes_state', oneOf(t.state, cardDisputeStates)),
    check('card_disputes_amount', sql`${t.amountMicros} > 0`),
    index('card_disputes_user').on(t.userId, t.id),
    index('card_disputes_open').on(t.notBefore).where(sql`${t.state} = 'open'`),
  ],
);
