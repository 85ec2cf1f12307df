import { budgetAction, budgetPeriod, costLimitAction } from '@computefabric/protocol/cost-limit';
import { apiKeyId, budgetId } from '@computefabric/protocol/ids';
import { parseUsd } from '@computefabric/protocol/money';
import type { Budget } from '@computefabric/protocol/user-api/budgets';
import type { z } from 'zod';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { findJob } from '../jobs/find-job.ts';
import { table } from '../terminal/table.ts';

export interface BudgetFlags {
  key?: string;
  period?: string;
  onLimit?: string;
}

export interface JobLimitFlags {
  maxCost: string;
  onLimit?: string;
}

type Budgets = Awaited<ReturnType<Awaited<ReturnType<Cli['client']>>['budgets']['list']>>;

/** `budget list`: what is used of each, and what was told about them. */
export async function listBudgets(cli: Cli): Promise<number> {
  return show(cli, await (await cli.client()).budgets.list());
}

/** `budget set USD`: makes it, or changes the one of the same key and period. */
export async function setBudget(cli: Cli, usd: string, flags: BudgetFlags): Promise<number> {
  const key = flags.key === undefined ? null : apiKeyId.safeParse(flags.key);
  if (key && !key.success) throw usageError(`--key "${flags.key}" is not the id of an API key`);
  const changed = await (await cli.client()).budgets.set({
    amount_micros: amount(usd, 'the amount'),
    api_key_id: key === null ? null : key.data,
    period: word(budgetPeriod, flags.period ?? 'month', '--period'),
    on_limit: word(budgetAction, flags.onLimit ?? 'stop-new', '--on-limit'),
  });
  return show(cli, changed);
}

/** `budget remove ID` */
export async function removeBudget(cli: Cli, id: string): Promise<number> {
  const known = budgetId.safeParse(id);
  if (!known.success) throw usageError(`"${id}" is not the id of a budget`, 'see: cfab budget list');
  const client = await cli.client();
  await client.budgets.remove(known.data);
  return show(cli, await client.budgets.list());
}

/** `budget job JOB --max-cost USD` */
export async function setJobLimit(cli: Cli, reference: string, flags: JobLimitFlags): Promise<number> {
  const client = await cli.client();
  const found = await findJob(cli, client, reference);
  const job = await client.budgets.setJob(found.id, {
    max_cost_micros: flags.maxCost === 'none' ? null : amount(flags.maxCost, '--max-cost'),
    ...(flags.onLimit === undefined ? {} : { on_limit: word(costLimitAction, flags.onLimit, '--on-limit') }),
  });
  if (cli.json) cli.printJson(job);
  else {
    const limit = job.max_cost_micros === null ? 'no limit of its own' : money(job.max_cost_micros);
    cli.print(`${job.name}: ${limit}, ${money(job.cost.hold_micros)} reserved`);
  }
  return exitCode('ok');
}

function show(cli: Cli, { items, events }: Budgets): number {
  if (cli.json) {
    cli.printJson({ items, events });
    return exitCode('ok');
  }
  if (items.length === 0) cli.say('You have no budget: cfab budget set 20 makes one.');
  else {
    const columns = ['budget', 'of', 'period', 'amount', 'used', 'reserved', 'at its end'];
    const lines = table(
      columns.map((title) => ({ title })),
      items.map(rowOf),
    );
    for (const line of lines) cli.print(line);
  }
  for (const event of events.slice(0, 10)) cli.say(`${event.at}  ${event.message}`);
  return exitCode('ok');
}

function rowOf(budget: Budget): string[] {
  return [
    budget.id,
    budget.api_key_id ?? 'account',
    budget.period,
    money(budget.amount_micros),
    `${money(budget.used_micros)} (${budget.percent} %)${budget.exhausted ? ' used up' : ''}`,
    money(budget.reserved_micros),
    budget.on_limit,
  ];
}

function amount(text: string, what: string): string {
  const micros = parseUsd(text);
  if (micros === null) throw usageError(`${what} "${text}" is not an amount in USD such as 0.50`);
  return String(micros);
}

function word<T extends string>(words: z.ZodType<T>, text: string, flag: string): T {
  const known = words.safeParse(text);
  if (known.success) return known.data;
  const all =
    words instanceof Object && 'options' in words && Array.isArray(words.options) ? words.options : [];
  throw usageError(`${flag} "${text}" is not one of ${all.join(', ')}`);
}
