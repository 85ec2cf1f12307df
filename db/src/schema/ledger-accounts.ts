import type { AccountId, UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

/** The chart of accounts. Those in `floored` may never go below zero. */
export const accountKinds = [
  'renter_available',
  'renter_held',
  'provider_payable',
  'platform_fees',
  'promotions',
] as const;
export type AccountKind = (typeof accountKinds)[number];
const floored = ['renter_available', 'renter_held', 'provider_payable', 'platform_fees'] as const;

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
