import { formatShare } from '@computefabric/protocol/grammar/quantities';
import type { MachineTry } from '@computefabric/protocol/user-api/machines';
import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { whole } from '../jobs/flag-values.ts';
import { plainText } from '../terminal/plain-text.ts';
import { table } from '../terminal/table.ts';
import { findMachine } from './machine-availability.ts';

/** Tries in one page of the API. */
const pageItems = 200;

/** `machine tries`: what a machine was given, newest first. */
export async function listMachineTries(
  cli: Cli,
  reference: string,
  flags: { number?: string },
): Promise<number> {
  const count = flags.number === undefined ? 20 : whole(flags.number, '--number', 1);
  const client = await cli.client();
  const machine = await findMachine(cli, client, reference);
  const items: MachineTry[] = [];
  let cursor: string | undefined;
  while (items.length < count) {
    const limit = Math.min(pageItems, count - items.length);
    const page = await client.machines.tries(machine.id, { limit, cursor });
    items.push(...page.items);
    if (page.next_cursor === null) break;
    cursor = page.next_cursor;
  }
  if (cli.json) {
    cli.printJson({ items });
    return exitCode('ok');
  }
  if (items.length === 0) {
    cli.say(`${plainText(machine.name)} has been given nothing yet.`);
    return exitCode('ok');
  }
  const columns = [
    { title: 'OFFERED' },
    { title: 'USED' },
    { title: 'STATE' },
    { title: 'END' },
    { title: 'RECORD' },
    { title: 'PRICE/H', align: 'right' as const },
    { title: 'PAID', align: 'right' as const },
    { title: 'EARNED', align: 'right' as const },
  ];
  for (const line of table(columns, items.map(rowOf))) cli.print(line);
  return exitCode('ok');
}

function rowOf(one: MachineTry): string[] {
  return [
    one.offered_at,
    usedText(one),
    one.state,
    endText(one),
    one.record === 'nothing' ? '–' : one.record,
    money(one.price_per_hour_micros),
    `${(one.billed_ms / 1_000).toFixed(1)} s`,
    money(one.earned_micros),
  ];
}

/** `2 GPUs`, `0.25 of a GPU` or `1.5 cores`, with a word for spot. */
function usedText({ gpus, gpu_milli: milli, cpus, spot }: MachineTry): string {
  const cards = milli < 1_000 ? `${formatShare(milli)} of a GPU` : `${gpus} GPU${gpus === 1 ? '' : 's'}`;
  const used = gpus > 0 ? cards : `${cpus} core${cpus === 1 ? '' : 's'}`;
  return spot ? `${used}, spot` : used;
}

function endText({ end_reason, exit_code, end_detail }: MachineTry): string {
  if (end_reason === null) return '–';
  const exit = exit_code === null ? '' : `, exit ${exit_code}`;
  return `${end_reason}${exit}${end_detail === null ? '' : ` (${plainText(end_detail)})`}`;
}
