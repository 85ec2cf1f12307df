import type { JobId, PaymentId, TopUpId, UserId } from '@computefabric/protocol/ids';
import { paymentStates } from '@computefabric/protocol/payment-state';
import { sql } from 'drizzle-orm';
import { check, index, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { jobs } from './jobs.ts';
import { topUps } from './top-ups.ts';
import { users } from './users.ts';

/**
 * Money for one job: a hold at submit, settled once at the end. `settledAt` says that the books are done; the
 * state is `pending` beyond that only while a card has to be charged for it.
 */
export const payments = pgTable(
  'payments',
  {
    id: text().$type<PaymentId>().primaryKey(),
    jobId: text()
      .$type<JobId>()
      .notNull()
      .unique()
      .references(() => jobs.id),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    state: text({ enum: paymentStates }).notNull().default('pending'),
    currency: text().notNull(),
    holdMicros: micros().notNull(),
    amountMicros: micros().notNull().default(sql`'0'`),
    failure: text(),
    /** The charge of the card that pays it, where cards are charged for each job. */
    topUpId: text()
      .$type<TopUpId>()
      .references(() => topUps.id),
    createdAt: moment().notNull().defaultNow(),
    settledAt: moment(),
  },
  (t) => [
    check('payments_state', oneOf(t.state, paymentStates)),
    check('payments_amount', sql`${t.amountMicros} between 0 and ${t.holdMicros}`),
    index('payments_user').on(t.userId, t.id.desc()),
    index('payments_of_top_up').on(t.topUpId).where(sql`${t.topUpId} is not null`),
    // Few at any time: whose earnings are kept until it is decided.
    index('payments_disputed').on(t.jobId).where(sql`${t.state} = 'disputed'`),
    index('payments_pending').on(t.jobId).where(sql`${t.state} = 'pending'`),
  ],
);
