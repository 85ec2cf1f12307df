import { csvLine } from './csv.ts';
import type { EarningsStatement } from './user-api/earnings.ts';

const header = [
  'at',
  'type',
  'job',
  'try',
  'machine',
  'payout',
  'reference',
  'gross_usd',
  'fee_usd',
  'refund_usd',
  'net_usd',
  'balance_usd',
];

/**
 * A statement as CSV (RFC 4180, UTF-8): one line for each try and payout, with the balance after it, between the
 * opening and the closing balance. Amounts have all six decimals, so that a spreadsheet's sum is the ledger's.
 */
export function statementCsv(statement: EarningsStatement): string {
  const entries = [
    ...statement.lines.map((line) => ({
      at: line.at,
      cells: ['job', line.job_id, line.lease_id, line.machine, '', ''],
      amounts: [line.gross_micros, line.fee_micros, line.refund_micros],
      net: BigInt(line.net_micros),
    })),
    ...statement.payouts.map((payout) => ({
      at: payout.at,
      cells: [
        payout.kind === 'paid' ? 'payout' : 'payout-returned',
        '',
        '',
        '',
        payout.payout_id,
        payout.reference ?? '',
      ],
      amounts: ['', '', ''],
      net: payout.kind === 'paid' ? -BigInt(payout.amount_micros) : BigInt(payout.amount_micros),
    })),
  ].toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  let balance = BigInt(statement.opening_micros);
  const rows = [header, edge('opening', statement.from, statement.opening_micros)];
  for (const { at, cells, amounts, net } of entries) {
    balance += net;
    rows.push([
      at,
      ...cells,
      ...amounts.map((micros) => (micros === '' ? '' : usd(BigInt(micros)))),
      usd(net),
      usd(balance),
    ]);
  }
  rows.push(edge('closing', statement.until, statement.closing_micros));
  return rows.map(csvLine).join('');
}

function edge(type: string, at: string, micros: string): string[] {
  return [at, type, '', '', '', '', '', '', '', '', '', usd(BigInt(micros))];
}

/** Plain digits: a sign of a currency or a thousands separator would make a number a text. */
function usd(micros: bigint): string {
  const absolute = micros < 0n ? -micros : micros;
  const fraction = (absolute % 1_000_000n).toString().padStart(6, '0');
  return `${micros < 0n ? '-' : ''}${absolute / 1_000_000n}.${fraction}`;
}
