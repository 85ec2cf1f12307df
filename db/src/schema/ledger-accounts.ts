import type { AccountId, UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/**
 * The chart of accounts; balance = credits − debits. What the market owes somebody is above zero, what it owns
 * or has spent below.
 *
 * - renter_available     what a user may spend
 * - renter_held          what a user has reserved for unfinished jobs
 * - renter_disputed      what a user's card holder has claimed back and the bank has not decided on
 * - renter_debt          what a user owes the market after money was taken back that was spent already
 * - provider_held_back   what a user's machines have earned and the hold window still keeps
 * - provider_payable     what they have earned and may be paid out
 * - provider_in_transit  what is on its way to them
 * - provider_debt        what a user owes after earnings were taken back that were paid out already
 * - platform_fees        the market's own income
 * - promotions           where play money and gifts come from
 * - refunds              where the market's own refunds come from: time that it or nobody is to blame for
 * - stripe_clearing      money at Stripe
 * - stripe_fees          what Stripe has kept for itself
 * - manual_clearing      money that the operator has taken in or paid out by other means
 */
export const accountKinds = [
  'renter_available',
  'renter_held',
  'renter_disputed',
  'renter_debt',
  'provider_held_back',
  'provider_payable',
  'provider_in_transit',
  'provider_debt',
  'platform_fees',
  'promotions',
  'refunds',
  'stripe_clearing',
  'stripe_fees',
  'manual_clearing',
] as const;
export type AccountKind = (typeof accountKinds)[number];

/** Accounts that may be below zero; every other one is kept from it by the database. */
export const overdrawnKinds = [
  'renter_debt',
  'provider_debt',
  'promotions',
  'refunds',
  'stripe_clearing',
  'stripe_fees',
  'manual_clearing',
] as const satisfies readonly AccountKind[];
const floored = accountKinds.filter((kind) => !overdrawnKinds.some((overdrawn) => overdrawn === kind));

/**
 * One account. Its balance is credits − debits, two running totals that only grow and that every transfer
 * moves in the same transaction; the audit re-adds them from the transfers.
 */
export const ledgerAccounts = pgTable(
  'ledger_accounts',
  {
    id: text().$type<AccountId>().primaryKey(),
    kind: text({ enum: accountKinds }).notNull(),
    /** Null for the market's own accounts. */
    ownerId: text()
      .$type<UserId>()
      .references(() => users.id),
    creditsMicros: micros().notNull().default(sql`'0'`),
    debitsMicros: micros().notNull().default(sql`'0'`),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    // Two indexes, because one that takes nulls as equal is taken for a change by every schema push.
    uniqueIndex('ledger_accounts_owned').on(t.kind, t.ownerId),
    uniqueIndex('ledger_accounts_of_market').on(t.kind).where(sql`${t.ownerId} is null`),
    check('ledger_accounts_kind', oneOf(t.kind, accountKinds)),
    check('ledger_accounts_totals', sql`${t.creditsMicros} >= 0 and ${t.debitsMicros} >= 0`),
    // The rule that no code can forget: nobody spends what they do not have.
    check(
      'ledger_accounts_floor',
      sql`not (${oneOf(t.kind, floored)}) or ${t.creditsMicros} >= ${t.debitsMicros}`,
    ),
  ],
);
