import 'server-only';

import type { Db } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { ledgerAccounts } from '@computefabric/db/schema/ledger-accounts';
import { ledgerTransfers } from '@computefabric/db/schema/ledger-transfers';
import { and, desc, eq, inArray, or, sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/pg-core';
import { z } from 'zod';
import type { LedgerPage } from '@/types/billing-view.ts';
import type { Viewer } from '@/types/market-view.ts';
import { ledgerEffect, ledgerTitle, renterAccounts } from '../ledger-words.ts';

/** A transfer that touches one of the viewer's accounts as a renter. */
export interface LedgerRow {
  id: string;
  /** Microseconds are kept: many transfers are of one transaction and one moment. */
  at: string;
  kind: typeof ledgerTransfers.$inferSelect.kind;
  from: typeof ledgerAccounts.$inferSelect.kind;
  to: typeof ledgerAccounts.$inferSelect.kind;
  amountMicros: bigint;
  jobId: string | null;
  jobName: string | null;
}

/** One page of what moved the viewer's money, newest first. */
export async function listLedger(
  db: Db,
  viewer: Viewer,
  cursor: string | null,
  limit: number,
): Promise<LedgerPage> {
  const rows = await ledgerRows(db, viewer, cursor, limit + 1);
  const last = rows[limit - 1];
  return {
    items: rows.slice(0, limit).map((row) => ({
      id: row.id,
      at: new Date(row.at),
      kind: row.kind,
      title: ledgerTitle(row.kind),
      amountMicros: row.amountMicros,
      effect: ledgerEffect(row.from, row.to),
      job: row.jobId && row.jobName ? { id: row.jobId, name: row.jobName } : null,
    })),
    nextCursor: rows.length > limit && last ? ledgerCursor(last) : null,
  };
}

/** Where the rows after this one begin. */
export function ledgerCursor({ at, id }: LedgerRow): string {
  return `${at}~${id}`;
}

const cursorParts = z.tuple([z.iso.datetime({ precision: 6 }), z.string().min(1).max(300)]);

/** The viewer's transfers after a cursor, newest first. A cursor that is none begins at the beginning. */
export async function ledgerRows(
  db: Db,
  viewer: Viewer,
  cursor: string | null,
  limit: number,
): Promise<LedgerRow[]> {
  const own = await db
    .select({ id: ledgerAccounts.id })
    .from(ledgerAccounts)
    .where(and(eq(ledgerAccounts.ownerId, viewer.userId), inArray(ledgerAccounts.kind, [...renterAccounts])));
  if (own.length === 0) return [];
  const ids = own.map(({ id }) => id);
  const before = cursorParts.safeParse(splitOnce(cursor ?? ''));
  const from = alias(ledgerAccounts, 'from_account');
  const to = alias(ledgerAccounts, 'to_account');
  return await db
    .select({
      id: ledgerTransfers.id,
      at: sql<string>`to_char(${ledgerTransfers.createdAt} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
      kind: ledgerTransfers.kind,
      from: from.kind,
      to: to.kind,
      amountMicros: ledgerTransfers.amountMicros,
      jobId: ledgerTransfers.jobId,
      jobName: jobs.name,
    })
    .from(ledgerTransfers)
    .innerJoin(from, eq(from.id, ledgerTransfers.debitAccountId))
    .innerJoin(to, eq(to.id, ledgerTransfers.creditAccountId))
    .leftJoin(jobs, and(eq(jobs.id, ledgerTransfers.jobId), eq(jobs.userId, viewer.userId)))
    .where(
      and(
        or(inArray(ledgerTransfers.debitAccountId, ids), inArray(ledgerTransfers.creditAccountId, ids)),
        before.success
          ? sql`(${ledgerTransfers.createdAt}, ${ledgerTransfers.id}) < (${before.data[0]}::timestamptz, ${before.data[1]})`
          : undefined,
      ),
    )
    .orderBy(desc(ledgerTransfers.createdAt), desc(ledgerTransfers.id))
    .limit(limit);
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf('~');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
