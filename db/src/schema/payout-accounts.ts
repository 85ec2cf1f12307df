import type { UserId } from '@computefabric/protocol/ids';
import { payoutSchedules } from '@computefabric/protocol/payout-state';
import { sql } from 'drizzle-orm';
import { boolean, check, index, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/**
 * Where an owner's earnings go, and when. Of the account at the payment provider only its id and what it can do are
 * here; who its owner is and which bank they have is known there alone. Once set, `accountId` never changes.
 */
export const payoutAccounts = pgTable(
  'payout_accounts',
  {
    userId: text()
      .$type<UserId>()
      .primaryKey()
      .references(() => users.id),
    accountId: text().unique(),
    takesTransfers: boolean().notNull().default(false),
    paysOut: boolean().notNull().default(false),
    detailsSubmitted: boolean().notNull().default(false),
    /** What Stripe wants to know, in its words. */
    missing: text()
      .array()
      .notNull()
      .$default(() => []),
    disabledReason: text(),
    /** Why the bank did not take the last payment of Stripe's. */
    bankFailure: text(),
    /** What Stripe has paid to the bank so far. */
    bankedMicros: micros().notNull().default(sql`'0'`),
    schedule: text({ enum: payoutSchedules }).notNull().default('weekly'),
    /** Null: the market's. */
    minimumMicros: micros(),
    /** When what may be paid out is paid out next by itself; null where nothing is. */
    nextPayoutAt: moment(),
    /** Transfers that were refused in a row: each waits longer than the last. */
    failures: integer().notNull().default(0),
    /** When Stripe is asked next what the account can do. */
    readAgainAt: moment().notNull().defaultNow(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('payout_accounts_schedule', oneOf(t.schedule, payoutSchedules)),
    check('payout_accounts_minimum', sql`${t.minimumMicros} is null or ${t.minimumMicros} > 0`),
    index('payout_accounts_due').on(t.nextPayoutAt).where(sql`${t.nextPayoutAt} is not null`),
    index('payout_accounts_read').on(t.readAgainAt).where(sql`${t.accountId} is not null`),
  ],
);
