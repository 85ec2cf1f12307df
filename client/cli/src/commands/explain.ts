import type { Waiting } from '@computefabric/protocol/user-api/quotes';
import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { findJob } from '../jobs/find-job.ts';
import { requirementsText } from '../jobs/requirements-text.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';

/** `explain JOB`: why a job waits, rule by rule, and what would change it. */
export async function explainJob(cli: Cli, reference: string): Promise<number> {
  const job = await findJob(cli, await cli.client(), reference);
  if (cli.json) {
    cli.printJson({
      id: job.id,
      name: job.name,
      state: job.state,
      waiting: job.waiting,
      waits_for: job.waits_for,
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
    return exitCode('ok');
  }
  cli.print(`${job.name} asks for ${requirementsText(job.requirements)}`);
  for (const line of waitingLines(job.waiting)) cli.print(line);
  return exitCode('ok');
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
