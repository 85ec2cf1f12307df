import type { Client } from '@computefabric/api-client/client';
import type { GroupView } from '@computefabric/protocol/user-api/groups';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Waiting } from '@computefabric/protocol/user-api/quotes';
import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { findTarget } from '../groups/find-target.ts';
import { progressText } from '../groups/group-text.ts';
import { requirementsText } from '../jobs/requirements-text.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';

/**
 * `explain JOB`: why a job, or the first that waits of a group, has no machine, rule by rule, and what would change it;
 * of a job that has one, how it came there.
 */
export async function explainJob(cli: Cli, reference: string): Promise<number> {
  const client = await cli.client();
  const target = await findTarget(cli, client, reference);
  return target.kind === 'job'
    ? await explainOne(cli, client, target.job)
    : await explainGroup(cli, client, target.group);
}

/** Of a group: why it waits as a whole, and why the first of its members has no machine. */
async function explainGroup(cli: Cli, client: Client, group: GroupView): Promise<number> {
  const queued = await client.jobs.list({ group: group.id, state: ['queued'], limit: 200 });
  const first = queued.items.at(-1);
  if (!cli.json) {
    cli.print(`${plainText(group.name)}: ${progressText(group)}`);
    for (const sentence of group.waits_for) cli.print(`  ${plainText(sentence)}`);
    if (group.max_parallel !== null && group.counts.blocked > 0)
      cli.print(`  At most ${group.max_parallel} of its members wait or run at the same time.`);
  }
  if (first) return await explainOne(cli, client, await client.jobs.get(first.id));
  if (cli.json)
    cli.printJson({
      id: group.id,
      name: group.name,
      state: group.state,
      waiting: null,
      waits_for: group.waits_for,
    });
  else cli.print('  None of its members waits for a machine.');
  return exitCode('ok');
}

async function explainOne(cli: Cli, client: Client, job: JobView): Promise<number> {
  const chosen = job.waiting === null && job.leases.length > 0 ? await lastChoice(client, job) : null;
  if (cli.json) {
    cli.printJson({
      id: job.id,
      name: job.name,
      state: job.state,
      waiting: job.waiting,
      waits_for: job.waits_for,
      chosen,
    });
    return exitCode('ok');
  }
  if (job.state === 'blocked') {
    cli.print(`${job.name} is blocked: it does not ask for a machine yet.`);
    for (const sentence of job.waits_for) cli.print(`  ${plainText(sentence)}`);
    return exitCode('ok');
  }
  if (!job.waiting) {
    cli.print(`${job.name} does not wait for a machine: it is ${job.state}.`);
    if (chosen !== null) cli.print(`  ${plainText(chosen)}`);
    return exitCode('ok');
  }
  cli.print(`${job.name} asks for ${requirementsText(job.requirements)}`);
  for (const line of waitingLines(job.waiting)) cli.print(line);
  return exitCode('ok');
}

/** What the market said when it chose the machine of the last try: its price, and what was there already. */
async function lastChoice(client: Client, job: JobView): Promise<string | null> {
  const { items } = await client.jobs.events(job.id, { limit: 200 });
  return items.findLast(({ type }) => type === 'matched')?.message ?? null;
}

/** The reasons of a wait, and what would end it. */
export function waitingLines(waiting: Waiting): string[] {
  const lines = facts([
    ['place', `${waiting.position} in the queue`],
    ['why', plainText(waiting.summary)],
    ...(waiting.expected_start === null ? [] : startLine(waiting.expected_start)),
    ...(waiting.suggestion === null ? [] : ([['help', plainText(waiting.suggestion)]] as [string, string][])),
  ]);
  if (waiting.filters.length === 0) return lines;
  const rows = waiting.filters.map(({ filter, excluded, sole, sentence }) => [
    plainText(filter),
    `${excluded} of ${waiting.machines}`,
    `${sole}`,
    plainText(sentence),
  ]);
  const columns = [
    { title: 'RULE' },
    { title: 'FAIL IT', align: 'right' as const },
    { title: 'FAIL ONLY IT', align: 'right' as const },
    { title: 'WHY' },
  ];
  return [...lines, '', ...table(columns, rows).map((line) => `  ${line}`)];
}

/** An upper bound, and told as one: what runs may end early, and a job that goes first may come in. */
function startLine(moment: string): [string, string][] {
  return [
    ['starts', `by ${moment} at the latest, when what runs takes its whole time limit;`],
    ['', 'a job that goes first may come in before it'],
  ];
}
