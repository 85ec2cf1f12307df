import { getDb } from '@/lib/db.ts';
import { historyLines } from '@/lib/history-download.ts';
import { attachmentHeaders, bodyOf, plain } from '@/lib/passed-through.ts';
import { ledgerCursor, type LedgerRow, ledgerRows } from '@/lib/queries/list-ledger.ts';
import { getSession } from '@/lib/session.ts';
import type { Viewer } from '@/types/market-view.ts';

/** Rows of one read; a download is many of them, one after the other. */
const pageSize = 1_000;

/** Downloads every movement of the viewer's money, newest first, as CSV or JSON. */
export async function GET(request: Request): Promise<Response> {
  const session = await getSession();
  if (!session) return plain(401, 'Sign in first.');
  const format = new URL(request.url).searchParams.get('format') === 'json' ? 'json' : 'csv';
  const type = format === 'json' ? 'application/json' : 'text/csv; charset=utf-8';
  return new Response(bodyOf(historyLines(allRows(session.viewer), format)), {
    headers: attachmentHeaders(`computefabric-history.${format}`, type),
  });
}

async function* allRows(viewer: Viewer): AsyncGenerator<LedgerRow, void, undefined> {
  let cursor: string | null = null;
  for (;;) {
    const rows: LedgerRow[] = await ledgerRows(getDb(), viewer, cursor, pageSize);
    yield* rows;
    const last = rows.at(-1);
    if (rows.length < pageSize || !last) return;
    cursor = ledgerCursor(last);
  }
}
