import { sql } from 'drizzle-orm';
import { check, index, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';

/** `parked`: its handler failed too often; somebody has to look. */
export const stripeEventStates = ['waiting', 'done', 'ignored', 'parked'] as const;

/**
 * What Stripe has told us, once per event id, before anything is done about it. Only what is needed to ask
 * Stripe for the object itself: amounts and names in an event are never used.
 */
export const stripeEvents = pgTable(
  'stripe_events',
  {
    id: text().primaryKey(),
    type: text().notNull(),
    objectId: text(),
    /** The connected account that it is about; null for the market's own. */
    account: text(),
    state: text({ enum: stripeEventStates }).notNull().default('waiting'),
    attempts: integer().notNull().default(0),
    notBefore: moment().notNull().defaultNow(),
    failure: text(),
    /** When it happened, by Stripe's clock. */
    happenedAt: moment().notNull(),
    receivedAt: moment().notNull().defaultNow(),
    doneAt: moment(),
  },
  (t) => [
    check('stripe_events_state', oneOf(t.state, stripeEventStates)),
    index('stripe_events_waiting').on(t.notBefore).where(sql`${t.state} = 'waiting'`),
    index('stripe_events_parked').on(t.id).where(sql`${t.state} = 'parked'`),
  ],
);
