import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDb } from '@computefabric/db/client';
import { embeddedPostgresUrl } from '@computefabric/db/embedded-postgres';
import { formatUsd } from '@computefabric/protocol/money';
import { parseConfig } from '../../config.ts';
import { type Audit, auditBooks, viewAudit } from '../audit-books.ts';

/*
 * npm run ledger:audit [-- --json]
 *
 * Closes the books: exit 0 and a table when they are right, 1 with every finding when they are not, 2 when there is
 * no database to look at. Reads the settings of the orchestrator; nothing is written.
 */

const say = (line: string) => process.stdout.write(`${line}\n`);

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
  const config = parseConfig(process.env);
  const url = config.databaseUrl?.reveal() ?? (await embeddedPostgresUrl({ home: config.home }));
  if (url === null)
    throw new Error(`The database of ${join(config.home)} does not run: npm start starts it.`);
  const { db, close } = createDb(url, { poolSize: 1, applicationName: 'computefabric-audit' });
  try {
    const audit = await auditBooks(db);
    if (values.json) say(JSON.stringify(viewAudit(audit), null, 2));
    else print(audit);
    return audit.findings.length === 0 ? 0 : 1;
  } finally {
    await close();
  }
}

function print({ at, findings, kinds, pending }: Audit): void {
  const table = [
    ['account', 'number', 'credits', 'debits', 'balance', 'lowest'],
    ...kinds.map((row) => [
      row.kind,
      String(row.accounts),
      formatUsd(row.creditsMicros),
      formatUsd(row.debitsMicros),
      formatUsd(row.balanceMicros),
      formatUsd(row.lowestMicros),
    ]),
    [
      'all together',
      String(kinds.reduce((sum, row) => sum + row.accounts, 0)),
      formatUsd(kinds.reduce((sum, row) => sum + row.creditsMicros, 0n)),
      formatUsd(kinds.reduce((sum, row) => sum + row.debitsMicros, 0n)),
      formatUsd(kinds.reduce((sum, row) => sum + row.balanceMicros, 0n)),
      '',
    ],
  ];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of table) {
    const cells = row.map((cell, n) =>
      n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0),
    );
    say(cells.join('  ').trimEnd());
  }
  say('');
  say(`Holds pending: ${pending.count}, ${formatUsd(pending.micros)} together.`);
  for (const { rule, subject, detail } of findings) say(`WRONG ${rule}: ${subject}: ${detail}`);
  const result =
    findings.length === 0 ? 'The books are right' : `The books are wrong in ${findings.length} places`;
  say(`${result}, as of ${at.toISOString()}.`);
}
