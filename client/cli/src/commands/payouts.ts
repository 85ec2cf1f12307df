import { payoutId } from '@computefabric/protocol/ids';
import { parseUsd } from '@computefabric/protocol/money';
import {
  type PayoutSchedule,
  payoutSchedules,
  type PayoutState,
  payoutStates,
} from '@computefabric/protocol/payout-state';
import type { PayoutAccountView, PayoutView } from '@computefabric/protocol/user-api/earnings';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';

/** `payouts list`: to you, or for the operator to everybody. */
export async function listPayouts(cli: Cli, flags: { as?: string; state?: string }): Promise<number> {
  const as = flags.as === undefined ? undefined : oneOf(flags.as, ['owner', 'operator'], '--as');
  const state: PayoutState | undefined =
    flags.state === undefined ? undefined : oneOf(flags.state, payoutStates, '--state');
  const { items } = await (await cli.client()).earnings.listPayouts({ as, state, limit: 200 });
  if (cli.json) cli.printJson({ items });
  else if (items.length === 0) cli.say('There are no payouts.');
  else {
    const columns = [
      { title: 'PAYOUT' },
      ...(as === 'operator' ? [{ title: 'TO' }] : []),
      { title: 'AMOUNT', align: 'right' as const },
      { title: 'HOW' },
      { title: 'STATE' },
      { title: 'WHEN' },
    ];
    const rows = items.map((one) => [
      one.id,
      ...(as === 'operator' ? [plainText(one.user?.email ?? '')] : []),
      money(one.amount_micros),
      `${one.method}${one.reference === null ? '' : `: ${plainText(one.reference)}`}`,
      stateText(one),
      one.created_at,
    ]);
    for (const line of table(columns, rows)) cli.print(line);
  }
  return exitCode('ok');
}

/** `payouts setup`: prints the page on which an owner says where the money goes. */
export async function setUpPayouts(cli: Cli, flags: { country?: string }): Promise<number> {
  const country = flags.country?.toUpperCase();
  if (country !== undefined && !/^[A-Z]{2}$/.test(country)) {
    throw usageError(`"${country}" is no country`, 'two letters such as US or DE');
  }
  const { url } = await (await cli.client()).earnings.setUp(country);
  if (cli.json) cli.printJson({ url });
  else {
    cli.print(url);
    cli.say('Open this page, within some minutes, to say who you are and where your money goes.');
    cli.say('Only the payment provider learns of it.');
  }
  return exitCode('ok');
}

/** `payouts schedule`: shows or changes when earnings are paid out by themselves. */
export async function schedulePayouts(
  cli: Cli,
  schedule: string | undefined,
  flags: { minimum?: string },
): Promise<number> {
  const client = await cli.client();
  const wanted: PayoutSchedule | undefined =
    schedule === undefined ? undefined : oneOf(schedule, payoutSchedules, 'the schedule');
  const account =
    wanted === undefined && flags.minimum === undefined
      ? await client.earnings.getAccount()
      : await client.earnings.changeAccount({
          schedule: wanted,
          minimum_micros: flags.minimum === undefined ? undefined : cents(flags.minimum),
        });
  if (cli.json) cli.printJson(account);
  else for (const line of facts(accountFacts(account), '')) cli.print(line);
  return exitCode('ok');
}

/** `payouts request [AMOUNT]`: has paid out now what may be. */
export async function requestPayout(cli: Cli, amount: string | undefined): Promise<number> {
  const payout = await (await cli.client()).earnings.request(amount === undefined ? null : cents(amount));
  if (cli.json) cli.printJson(payout);
  else {
    cli.print(`${money(payout.amount_micros)} is on its way.`);
    cli.say(`See what became of it: ${cli.program} payouts list`);
  }
  return exitCode('ok');
}

/** `payouts owed`: what the market owes its owners; the operator alone. */
export async function listOwed(cli: Cli): Promise<number> {
  const client = await cli.client();
  const items = [];
  let cursor: string | undefined;
  do {
    const page = await client.earnings.listOwed({ limit: 200, cursor });
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  if (cli.json) cli.printJson({ items });
  else if (items.length === 0) cli.say('Nobody is owed anything.');
  else {
    const right = (title: string) => ({ title, align: 'right' as const });
    const columns = [
      { title: 'OWNER' },
      right('PAYABLE'),
      right('HELD'),
      right('FROZEN'),
      right('ON ITS WAY'),
      right('OWES'),
      { title: 'ACCOUNT' },
    ];
    const rows = items.map((one) => [
      plainText(one.user.email),
      money(one.payable_micros),
      money(one.held_micros),
      money(one.frozen_micros),
      money(one.in_transit_micros),
      money(one.owed_micros),
      one.account_state,
    ]);
    for (const line of table(columns, rows)) cli.print(line);
  }
  return exitCode('ok');
}

/** `payouts record OWNER AMOUNT`: the operator has paid by other means. */
export async function recordPayout(
  cli: Cli,
  to: string,
  amount: string,
  flags: { reference?: string },
): Promise<number> {
  const micros = parseUsd(amount);
  if (micros === null || micros === 0n) {
    throw usageError(`"${amount}" is not an amount in USD`, 'such as 20 or 12.50');
  }
  if (!flags.reference) throw usageError('say with --reference how it was paid: the owner reads it');
  const payout = await (await cli.client()).earnings.record({
    to,
    amount_micros: String(micros),
    reference: flags.reference,
  });
  if (cli.json) cli.printJson(payout);
  else cli.print(`${payout.id}: ${money(payout.amount_micros)} to ${plainText(payout.user?.email ?? to)}.`);
  return exitCode('ok');
}

/** `payouts correct PAYOUT`: takes back what was written down by mistake. */
export async function correctPayout(cli: Cli, id: string, flags: { because?: string }): Promise<number> {
  const parsed = payoutId.safeParse(id);
  if (!parsed.success) {
    throw usageError(`"${id}" is no payout`, `such as in: ${cli.program} payouts list --as operator`);
  }
  if (!flags.because) throw usageError('say with --because why: the owner reads it');
  const payout = await (await cli.client()).earnings.correct(parsed.data, flags.because);
  if (cli.json) cli.printJson(payout);
  else cli.print(`${money(payout.returned_micros)} may be paid out again.`);
  return exitCode('ok');
}

function stateText(payout: PayoutView): string {
  const why = payout.failure === null ? '' : `: ${plainText(payout.failure.message)}`;
  const returned =
    payout.returned_micros === '0' || payout.state === 'reversed'
      ? ''
      : `, ${money(payout.returned_micros)} came back`;
  return `${payout.state}${why}${returned}`;
}

function accountFacts(account: PayoutAccountView): [string, string][] {
  const lines: [string, string][] = [
    ['schedule', account.schedule],
    ['minimum', money(account.minimum_micros)],
    ['account', account.configured ? account.state : 'this market has no payment provider'],
  ];
  if (account.next_payout_at !== null) lines.push(['next', account.next_payout_at]);
  if (account.missing.length > 0) lines.push(['missing', account.missing.map(plainText).join(', ')]);
  if (account.bank_failure !== null) lines.push(['bank', plainText(account.bank_failure)]);
  return lines;
}

/** An amount that a person typed, as whole cents in micros. */
function cents(text: string): string {
  const micros = parseUsd(text);
  if (micros === null || micros === 0n) {
    throw usageError(`"${text}" is not an amount in USD`, 'such as 20 or 12.50');
  }
  if (micros % 10_000n !== 0n) throw usageError(`"${text}" has parts of a cent`, 'payouts are whole cents');
  return String(micros);
}

function oneOf<const T extends string>(value: string, known: readonly T[], what: string): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw usageError(`${what} must be one of: ${known.join(', ')}`);
  return found;
}
