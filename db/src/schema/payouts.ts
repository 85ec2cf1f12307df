import type { PayoutId, UserId } from '@computefabric/protocol/ids';
import { payoutMethods, payoutStates } from '@computefabric/protocol/payout-state';
import { sql } from 'drizzle-orm';
import { check, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/**
 * Earnings on their way to an owner. The row and its transfer out of `provider_payable` are there before Stripe hears
 * of it, so that whatever crashes is found again; the row's id is the cause that Stripe is given.
 */
export const payouts = pgTable(
  'payouts',
  {
    id: text().$type<PayoutId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    method: text({ enum: payoutMethods }).notNull(),
    state: text({ enum: payoutStates }).notNull(),
    amountMicros: micros().notNull(),
    /** What came back after it was sent: the sum of its `payout_reversals`. */
    returnedMicros: micros().notNull().default(sql`'0'`),
    /** The owner's account at Stripe, as it was when this was made. */
    accountId: text(),
    /** Stripe's Transfer; null until Stripe has answered. */
    transferId: text().unique(),
    /** How the operator paid it. */
    reference: text(),
    /** The operator who wrote it down. */
    recordedBy: text()
      .$type<UserId>()
      .references(() => users.id),
    failureCode: text(),
    failureMessage: text(),
    attempts: integer().notNull().default(0),
    /** When the worker looks at it next. */
    notBefore: moment().notNull().defaultNow(),
    createdAt: moment().notNull().defaultNow(),
    sentAt: moment(),
    /** Since when it is paid, failed or reversed. */
    settledAt: moment(),
  },
  (t) => [
    check('payouts_method', oneOf(t.method, payoutMethods)),
    check('payouts_state', oneOf(t.state, payoutStates)),
    // Stripe knows cents only.
    check(
      'payouts_amount',
      sql`${t.amountMicros} > 0 and (${t.method} = 'manual' or ${t.amountMicros} % 10000 = 0)`,
    ),
    check('payouts_returned', sql`${t.returnedMicros} between 0 and ${t.amountMicros}`),
    check(
      'payouts_destination',
      sql`case ${t.method} when 'stripe' then ${t.accountId} is not null
        else ${t.reference} is not null and ${t.recordedBy} is not null and ${t.transferId} is null end`,
    ),
    check(
      'payouts_sent',
      sql`${t.method} = 'manual' or ((${t.state} in ('sent', 'paid', 'reversed')) = (${t.transferId} is not null))`,
    ),
    // The second waits for the first: what Stripe will say of that decides what is left.
    uniqueIndex('payouts_one_at_a_time').on(t.userId).where(sql`${t.state} in ('created', 'sending')`),
    index('payouts_user').on(t.userId, t.id.desc()),
    index('payouts_due').on(t.notBefore).where(sql`${t.state} in ('created', 'sending', 'sent')`),
  ],
);
