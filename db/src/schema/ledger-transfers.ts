import type { AccountId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, index, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';

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
 *
 * Inserting is all there is to moving money: a trigger (`move_ledger_totals`, migration 0008) adds what a statement
 * has inserted to the accounts, which nothing else can change. So no transfer is without its effect and no effect
 * without its transfer, whoever writes.
 *
 * No foreign keys: that trigger refuses an account which is not there, and jobs and leases are written before
 * what they cost and never removed. Asking the parents of each row once more takes a third of the throughput.
 */
export const ledgerTransfers = pgTable(
  'ledger_transfers',
  {
    /** Such as `hold:job_…` or `earn:job_…:lease_…`. */
    id: text().primaryKey(),
    kind: text({ enum: transferKinds }).notNull(),
    debitAccountId: text().$type<AccountId>().notNull(),
    creditAccountId: text().$type<AccountId>().notNull(),
    amountMicros: micros().notNull(),
    jobId: text().$type<JobId>(),
    leaseId: text().$type<LeaseId>(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check('ledger_transfers_kind', oneOf(t.kind, transferKinds)),
    check('ledger_transfers_amount', sql`${t.amountMicros} > 0`),
    check('ledger_transfers_two_accounts', sql`${t.debitAccountId} <> ${t.creditAccountId}`),
    index('ledger_transfers_debit').on(t.debitAccountId, t.createdAt),
    index('ledger_transfers_credit').on(t.creditAccountId, t.createdAt),
    index('ledger_transfers_job').on(t.jobId).where(sql`${t.jobId} is not null`),
    // A job's hold is released once and a try is paid for once, also where somebody makes up another id for it.
    uniqueIndex('ledger_transfers_one_release').on(t.jobId).where(sql`${t.kind} = 'release'`),
    uniqueIndex('ledger_transfers_one_bill').on(t.leaseId, t.kind).where(sql`${t.kind} in ('earn', 'fee')`),
  ],
);
