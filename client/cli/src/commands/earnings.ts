import { writeFile } from 'node:fs/promises';
import { statementCsv } from '@computefabric/protocol/statement-csv';
import {
  type Earnings,
  type EarningsStatement,
  type PayoutObstacle,
  statementPeriod,
} from '@computefabric/protocol/user-api/earnings';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';

export interface StatementFlags {
  month?: string;
  day?: string;
  csv?: boolean;
  save?: string;
}

/** `earnings`: what was earned, where it is, and what keeps it from being paid out. */
export async function showEarnings(cli: Cli): Promise<number> {
  const earnings = await (await cli.client()).earnings.get();
  if (cli.json) {
    cli.printJson(earnings);
    return exitCode('ok');
  }
  for (const line of facts(earningsFacts(earnings), '')) cli.print(line);
  if (earnings.play_money) cli.say('This market uses play money.');
  if (earnings.obstacle !== null) cli.say(obstacleText(cli, earnings.obstacle, earnings));
  return exitCode('ok');
}

/** `earnings statement`: a month or a day, as a table, CSV or JSON. */
export async function showStatement(cli: Cli, flags: StatementFlags): Promise<number> {
  if (flags.month !== undefined && flags.day !== undefined)
    throw usageError('give --month or --day, not both');
  if (flags.csv === true && cli.json) throw usageError('give --csv or --json, not both');
  const period = flags.day ?? flags.month ?? new Date().toISOString().slice(0, 7);
  const length = flags.day === undefined ? 7 : 10;
  if (!statementPeriod.safeParse(period).success || period.length !== length) {
    throw usageError(
      `"${period}" is no ${length === 7 ? 'month such as 2026-11' : 'day such as 2026-11-23'}`,
    );
  }
  const statement = await (await cli.client()).earnings.statement(period);
  const text =
    flags.csv === true
      ? statementCsv(statement)
      : cli.json
        ? `${JSON.stringify(statement, null, 2)}\n`
        : `${statementLines(statement).join('\n')}\n`;
  if (flags.save !== undefined) {
    await writeFile(flags.save, text);
    cli.say(`Written to ${flags.save}.`);
  } else for (const line of text.replace(/\r?\n$/, '').split(/\r?\n/)) cli.print(line);
  return exitCode('ok');
}

function earningsFacts(earnings: Earnings): [string, string][] {
  const { hold } = earnings;
  const lines: [string, string][] = [
    [
      'earned',
      `${money(earnings.earned_today_micros)} today, ${money(earnings.earned_7d_micros)} in 7 days, ${money(earnings.earned_30d_micros)} in 30 days`,
    ],
    ['payable', money(earnings.payable_micros)],
    ['held', `${money(earnings.held_micros)}   ${holdText(hold)}`],
  ];
  if (earnings.frozen_micros !== '0') {
    lines.push(['frozen', `${money(earnings.frozen_micros)}   until what is contested is decided`]);
  }
  if (earnings.in_transit_micros !== '0') lines.push(['on its way', money(earnings.in_transit_micros)]);
  if (earnings.owed_micros !== '0') {
    lines.push(['owed', `${money(earnings.owed_micros)}   later earnings pay it first`]);
  }
  lines.push(['paid out', money(earnings.paid_micros)]);
  const { account } = earnings;
  if (account.next_payout_at !== null) {
    lines.push([
      'next payout',
      `${account.next_payout_at} (${account.schedule}, from ${money(account.minimum_micros)})`,
    ]);
  }
  return lines;
}

function holdText(hold: Earnings['hold']): string {
  if (hold.settled_jobs < hold.first_jobs) {
    return `until ${hold.first_jobs} tries on your machines are settled; ${hold.settled_jobs} are`;
  }
  const days = Math.round(hold.window_seconds / 864) / 100;
  const next = hold.next_release_at === null ? '' : `, the oldest until ${hold.next_release_at}`;
  return `for ${days} days each${next}`;
}

function obstacleText(cli: Cli, obstacle: PayoutObstacle, { account }: Earnings): string {
  switch (obstacle) {
    case 'not-configured':
      return 'This market has no payment provider: its operator pays you by other means.';
    case 'account-missing':
      return `Say where the money goes: ${cli.program} payouts setup`;
    case 'account-incomplete':
      return `The payment provider wants to know more: ${cli.program} payouts setup`;
    case 'under-way':
      return 'A payout is under way.';
    case 'below-minimum':
      return `The least payout is ${money(account.least_minimum_micros)}.`;
    default:
      return obstacle satisfies never;
  }
}

function statementLines(statement: EarningsStatement): string[] {
  const { totals, lines, payouts } = statement;
  const right = (title: string) => ({ title, align: 'right' as const });
  const jobs = table(
    [
      { title: 'WHEN' },
      { title: 'JOB' },
      { title: 'MACHINE' },
      right('GROSS'),
      right('FEE'),
      right('REFUND'),
      right('NET'),
    ],
    lines.map((line) => [
      line.at,
      line.job_id,
      plainText(line.machine),
      money(line.gross_micros),
      money(line.fee_micros),
      money(line.refund_micros),
      money(line.net_micros),
    ]),
  );
  const paid = table(
    [{ title: 'WHEN' }, { title: 'PAYOUT' }, { title: 'HOW' }, right('AMOUNT')],
    payouts.map((payout) => [
      payout.at,
      payout.payout_id,
      `${payout.method}${payout.kind === 'returned' ? ', returned' : ''}${payout.reference === null ? '' : `: ${plainText(payout.reference)}`}`,
      money(payout.amount_micros),
    ]),
  );
  return [
    ...facts([['opening balance', money(statement.opening_micros)]], ''),
    ...(lines.length > 0 ? ['', ...jobs] : []),
    ...(payouts.length > 0 ? ['', ...paid] : []),
    '',
    ...facts(
      [
        ['gross', money(totals.gross_micros)],
        ['fee', money(totals.fee_micros)],
        ['refund', money(totals.refund_micros)],
        ['net', money(totals.net_micros)],
        ['paid out', money(totals.paid_micros)],
        ['returned', money(totals.returned_micros)],
        ['closing balance', money(statement.closing_micros)],
      ],
      '',
    ),
  ];
}
