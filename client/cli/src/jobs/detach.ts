import type { Client } from '@computefabric/api-client/client';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { facts } from '../terminal/table.ts';
import { money } from './cost.ts';
import { isFinal } from './outcome.ts';

/** Longest wait for the newest numbers before leaving, ms: whoever pressed Ctrl-C wants to go. */
const lastLookMs = 2_000;

/** What somebody who leaves a job has to know: that it goes on, what it costs, how to come back and stop it. */
export async function announceDetached(cli: Cli, client: Client, known: JobView): Promise<void> {
  const { talk } = cli.terminal;
  const job = await lastLook(client, known.id);
  for (const line of job ? detachLines(cli.program, job) : blindLines(cli.program, known)) talk.line(line);
}

export async function detachedJson(cli: Cli, client: Client, known: JobView): Promise<void> {
  const job = (await lastLook(client, known.id)) ?? { id: known.id, name: known.name };
  await cli.streamJson({ event: 'detached', ...job, cli_exit_code: exitCode('detached') });
}

/** The lines of `announceDetached`: three while it waits, four while it costs money. */
export function detachLines(program: string, job: JobView): string[] {
  const { name, state, cost } = job;
  const cap = money(cost.hold_micros);
  if (isFinal(state)) return [`Detached. ${name} has ended: ${state}.`, ...ways(program, job, false)];
  if (state === 'queued' || state === 'preparing') {
    return [`Detached. ${name} is ${state}: not billed yet, at most ${cap}.`, ...ways(program, job, true)];
  }
  const rate = cost.rate_per_hour_micros === null ? '' : `, ${money(cost.rate_per_hour_micros)}/h`;
  return [
    `Detached. ${name} is still ${state}.`,
    `  ${money(cost.accrued_micros)} so far${rate}, stops at ${cap} at the latest`,
    ...ways(program, job, true),
  ];
}

/** The server does not answer: old numbers would be wrong ones. */
function blindLines(program: string, job: JobView): string[] {
  return [
    `Detached. ${job.name} goes on; the server does not answer now. At most ${money(job.cost.hold_micros)}.`,
    ...ways(program, job, true),
  ];
}

function ways(program: string, job: JobView, unfinished: boolean): string[] {
  const pairs: [string, string][] = [['follow again', `${program} logs -f ${job.name}`]];
  if (unfinished) pairs.push(['stop it', `${program} cancel ${job.name}`]);
  if (job.dashboard_url) pairs.push(['in browser', job.dashboard_url]);
  return facts(pairs);
}

/** The newest numbers; null when they do not come in time: leaving must not wait for the server. */
async function lastLook(client: Client, id: string): Promise<JobView | null> {
  try {
    return await client.jobs.get(id, { signal: AbortSignal.timeout(lastLookMs) });
  } catch {
    return null; // Whatever it is: the lines then say that the server does not answer.
  }
}
