import type { UserId } from '@computefabric/protocol/ids';
import { billingModes, freezeCauses } from '@computefabric/protocol/top-up-state';
import { sql } from 'drizzle-orm';
import { check, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/** What a market with a payment provider knows of a user's way to pay. Card numbers are never here. */
export const billingAccounts = pgTable(
  'billing_accounts',
  {
    userId: text()
      .$type<UserId>()
      .primaryKey()
      .references(() => users.id),
    mode: text({ enum: billingModes }).notNull().default('prepaid'),
    /** The user at Stripe. */
    customerId: text().unique(),
    /** The card that is charged when nobody is there: Stripe's id of it and how a person knows it. */
    cardId: text(),
    cardBrand: text(),
    cardLast4: text(),
    /** Jobs may be begun on credit up to this; 0 but for a saved card where each job is charged. */
    creditLimitMicros: micros().notNull().default(sql`'0'`),
    /** Nothing can be submitted while this is set. */
    frozenBy: text({ enum: freezeCauses }),
    /** Automatic top-up: below this … */
    autoThresholdMicros: micros(),
    /** … the card is charged this much … */
    autoAmountMicros: micros(),
    /** … and in a calendar month (UTC) never more than this. */
    autoCeilingMicros: micros(),
    /** Refusals in a row. */
    autoFailures: integer().notNull().default(0),
    /** Not tried before this. */
    autoNotBefore: moment(),
    /** Why it is switched off by itself, as a sentence. */
    autoPausedBecause: text(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('billing_accounts_mode', oneOf(t.mode, billingModes)),
    check('billing_accounts_frozen', sql`${t.frozenBy} is null or ${oneOf(t.frozenBy, freezeCauses)}`),
    check('billing_accounts_credit', sql`${t.creditLimitMicros} >= 0`),
    check(
      'billing_accounts_auto',
      sql`(${t.autoThresholdMicros} is null and ${t.autoAmountMicros} is null and ${t.autoCeilingMicros} is null)
        or (${t.autoThresholdMicros} > 0 and ${t.autoAmountMicros} > 0 and ${t.autoCeilingMicros} >= ${t.autoAmountMicros})`,
    ),
  ],
);
