import type { Secret } from '@computefabric/runtime/secret';
import type { Db } from '@computefabric/db/client';
import type { Logger } from '@computefabric/runtime/log';
import type { ObjectStore } from '../../objects/object-store.ts';
import type { Signals } from '../../background/signals.ts';
import type { ViewSettings } from '../../jobs/job-view.ts';
import type { LeaseDeps } from '../../leases/lease-deps.ts';
import type { ReceiptDeps } from '../../receipts/issue-receipt.ts';
import type { BookAuditor } from '../../ledger/audit-books.ts';
import type { PayoutDeps } from '../../payouts/payout-deps.ts';
import type { ReaderSlots } from '../../run-logs/reader-slots.ts';
import type { TopUpDeps } from '../../topups/top-up-deps.ts';

/** What the routes of people's programs are built from. */
export interface UserRouteDeps {
  db: Db;
  log: Logger;
  signals: Signals;
  objects: ObjectStore;
  settings: LeaseDeps['settings'];
  view: ViewSettings;
  readerSlots: ReaderSlots;
  /** Null: no payment provider is configured. */
  topUps: TopUpDeps | null;
  payouts: PayoutDeps;
  auditor: BookAuditor;
  receipts: ReceiptDeps;
  /** Seals what is kept for renters; null: nothing of that kind is taken. */
  secretsKey: Secret | null;
  /** A job may be contested so long after its end, days. */
  disputeWindowDays: number;
  /** Price limit, per GPU-hour or core-hour, of jobs whose renter has none either. */
  defaultMaxPricePerHourMicros: bigint;
}
