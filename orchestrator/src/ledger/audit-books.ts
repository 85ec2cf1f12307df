import type { Db } from '@computefabric/db/client';
import type { auditLedger as auditContract } from '@computefabric/protocol/user-api/operator';
import type { z } from 'zod';
import {
  allowMs,
  type AuditFinding,
  auditLedger,
  type KindTotals,
  pendingHolds,
  totalsByKind,
} from './audit.store.ts';

type LedgerAudit = z.input<NonNullable<typeof auditContract.reply>>;

/** The books at one moment. */
export interface Audit {
  at: Date;
  findings: AuditFinding[];
  kinds: KindTotals[];
  pending: { count: number; micros: bigint; oldestSeconds: number };
}

/** An audit of a large ledger reads all of it. */
const deadlineMs = 600_000;

/** Adds the books up anew and sums them by kind of account; all of it as of one moment, and nothing is written. */
export async function auditBooks(db: Db): Promise<Audit> {
  return await db.transaction(
    async (tx) => {
      await allowMs(tx, deadlineMs);
      const findings = await auditLedger(tx);
      const kinds = await totalsByKind(tx);
      return { at: new Date(), findings, kinds, pending: await pendingHolds(tx) };
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
}

/** As programs read it. */
export function viewAudit({ at, findings, kinds, pending }: Audit): LedgerAudit {
  return {
    at: at.toISOString(),
    findings,
    accounts: kinds.map((row) => ({
      kind: row.kind,
      accounts: row.accounts,
      credits_micros: String(row.creditsMicros),
      debits_micros: String(row.debitsMicros),
      balance_micros: String(row.balanceMicros),
      lowest_micros: String(row.lowestMicros),
    })),
    pending_holds: {
      count: pending.count,
      micros: String(pending.micros),
      oldest_seconds: pending.oldestSeconds,
    },
  };
}

/** Audits on demand, and never more often than somebody needs it: who asks meanwhile gets the same answer. */
export class BookAuditor {
  readonly #db: Db;
  #last: Audit | null = null;
  #lastMs = Number.NEGATIVE_INFINITY;
  #underWay: Promise<Audit> | null = null;

  constructor(db: Db) {
    this.#db = db;
  }

  /** The newest audit that is at most `maxAgeMs` old, or a new one. */
  async audit(maxAgeMs: number): Promise<Audit> {
    if (this.#last && performance.now() - this.#lastMs <= maxAgeMs) return this.#last;
    this.#underWay ??= this.#run().finally(() => {
      this.#underWay = null;
    });
    return await this.#underWay;
  }

  async #run(): Promise<Audit> {
    const audit = await auditBooks(this.#db);
    this.#last = audit;
    this.#lastMs = performance.now();
    return audit;
  }
}
