import { csvLine } from '@computefabric/protocol/csv';
import { ledgerTitle } from './ledger-words.ts';
import type { LedgerRow } from './queries/list-ledger.ts';

const columns = ['at', 'id', 'kind', 'what', 'from', 'to', 'amount_micros', 'job_id', 'job_name'] as const;

/** Movements of money as the bytes of a file, piece by piece. Amounts are micros: nothing is rounded. */
export async function* historyLines(
  rows: AsyncIterable<LedgerRow>,
  format: 'csv' | 'json',
): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  yield bytes(format === 'csv' ? csvLine([...columns]) : '{"items":[');
  let isFirst = true;
  for await (const row of rows) {
    const line = {
      at: row.at,
      id: row.id,
      kind: row.kind,
      what: ledgerTitle(row.kind),
      from: row.from,
      to: row.to,
      amount_micros: String(row.amountMicros),
      job_id: row.jobId,
      job_name: row.jobName,
    };
    yield bytes(
      format === 'csv'
        ? csvLine(columns.map((column) => line[column] ?? ''))
        : `${isFirst ? '' : ','}\n${JSON.stringify(line)}`,
    );
    isFirst = false;
  }
  if (format === 'json') yield bytes('\n]}\n');
}
