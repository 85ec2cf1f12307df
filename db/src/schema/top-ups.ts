import type { TopUpId, UserId } from '@computefabric/protocol/ids';
import { topUpMethods, topUpStates } from '@computefabric/protocol/top-up-state';
import { sql } from 'drizzle-orm';
import { check, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/**
 * One charge of a card. The row is there before Stripe hears of it, so that whatever crashes is found again. A
 * top-up has one PaymentIntent, and that can succeed once: this is what makes a second charge impossible.
 */
export const topUps = pgTable(
  'top_ups',
  {
    id: text().$type<TopUpId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    method: text({ enum: topUpMethods }).notNull(),
    state: text({ enum: topUpStates }).notNull().default('open'),
    amountMicros: micros().notNull(),
    /** The Idempotency-Key of the request that made it. */
    requestKey: text(),
    /** The saved card that is charged. */
    cardId: text(),
    /** Stripe's Checkout Session, and its address while somebody can pay there. */
    checkoutId: text().unique(),
    checkoutUrl: text(),
    /** Stripe's PaymentIntent and Charge. */
    intentId: text().unique(),
    chargeId: text().unique(),
    /** Where the card holder confirms the payment, in `needs_action`. */
    actionUrl: text(),
    /** Why the bank refused: Stripe's code and sentence. */
    failureCode: text(),
    failureMessage: text(),
    /** Times that the saved card was charged. */
    attempts: integer().notNull().default(0),
    /** When the worker looks at it next. */
    notBefore: moment().notNull().defaultNow(),
    createdAt: moment().notNull().defaultNow(),
    settledAt: moment(),
  },
  (t) => [
    check('top_ups_method', oneOf(t.method, topUpMethods)),
    check('top_ups_state', oneOf(t.state, topUpStates)),
    // Stripe knows cents only.
    check('top_ups_amount', sql`${t.amountMicros} > 0 and ${t.amountMicros} % 10000 = 0`),
    uniqueIndex('top_ups_request').on(t.userId, t.requestKey),
    // A second charge of the same kind waits for the first.
    uniqueIndex('top_ups_one_by_itself')
      .on(t.userId, t.method)
      .where(sql`${t.method} in ('automatic', 'per_job') and ${t.state} in ('open', 'needs_action')`),
    index('top_ups_user').on(t.userId, t.id.desc()),
    index('top_ups_due').on(t.notBefore).where(sql`${t.state} in ('open', 'needs_action')`),
  ],
);
