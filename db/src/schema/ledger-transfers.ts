import type { AccountId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, index, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { jobs } from './jobs.ts';
import { leases } from './leases.ts';
import { ledgerAccounts } from './ledger-accounts.ts';

/**
 * Why money moved. A job: `hold` at submit, then `earn` (an owner), `fee` (the market) and `release` (the rest
 * back) out of it. Money from and to the world: `top-up`, `card-refund`, `stripe-fee`, `payout` (set out),
 * `payout-sent` (arrived) and `payout-returned`; `mature` ends the hold window of earnings. Taken back:
 * `dispute`, `dispute-won`, `dispute-lost` (a card holder's), `refund` (to the renter), `claw-back` (from the
 * owner), `debt` and `debt-paid`. `correction` mends a mistake.
 */
export const transferKinds = [
  'grant',
  'hold',
  'earn',
  'fee',
  'release',
  'top-up',
  'card-refund',
  'stripe-fee',
  'mature',
  'payout',
  'payout-sent',
  'payout-returned',
  'dispute',
  'dispute-won',
  'dispute-lost',
  'refund',
  'claw-back',
  'debt',
  'debt-paid',
  'correction',
] as const;
export type TransferKind = (typeof transferKinds)[number];

/**
 * One movement of money from one account to another. Append-only: a trigger refuses update and delete, a
 * correction is a new row. The id is given by the cause, so the same cause can move money only once.
 */
export const ledgerTransfers = pgTable(
  'ledger_transfers',
  {
    /** Such as `hold:job_…` or `earn:job_…:lease_…`. */
    id: text().primaryKey(),
    kind: text({ enum: transferKinds }).notNull(),
    debitAccountId: text()
      .$type<AccountId>()
      .notNull()
      .references(() => ledgerAccounts.id),
    creditAccountId: text()
      .$type<AccountId>()
      .notNull()
      .references(() => ledgerAccounts.id),
    amountMicros: micros().notNull(),
    jobId: text()
      .$type<JobId>()
      .references(() => jobs.id),
    leaseId: text()
      .$type<LeaseId>()
      .references(() => leases.id),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('ledger_transfers_kind', oneOf(t.kind, transferKinds)),
    check('ledger_transfers_amount', sql`${t.amountMicros} > 0`),
    check('ledger_transfers_two_accounts', sql`${t.debitAccountId} <> ${t.creditAccountId}`),
    index('ledger_transfers_debit').on(t.debitAccountId),
    index('ledger_transfers_credit').on(t.creditAccountId),
    index('ledger_transfers_job').on(t.jobId),
  ],
);
