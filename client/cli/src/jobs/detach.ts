import type { Client } from '@computefabric/api-client/client';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { facts } from '../terminal/table.ts';
import { costNowMicros, money } from './cost.ts';
import { isFinal } from './outcome.ts';

/** Longest wait for the newest numbers before leaving, ms: whoever pressed Ctrl-C wants to go. */
const lastLookMs = 2_000;

/** What somebody who leaves a job has to know: that it goes on, what it costs, how to come back and stop it. */
export async function announceDetached(cli: Cli, client: Client, known: JobView): Promise<void> {
  const job = await lastLook(client, known);
  const { talk } = cli.terminal;
  for (const line of detachLines(cli.program, job, Date.now())) talk.line(line);
}

export async function detachedJson(cli: Cli, client: Client, known: JobView): Promise<void> {
  await cli.streamJson({ event: 'detached', ...(await lastLook(client, known)), cli_exit_code: 130 });
}

/** The lines of `announceDetached`: three while it waits, four while it costs money. */
export function detachLines(program: string, job: JobView, nowMs: number): string[] {
  const { name, state, cost } = job;
  const cap = money(cost.hold_micros);
  if (isFinal(state)) return [`Detached. ${name} has ended: ${state}.`, ...ways(program, job, false)];
  if (state === 'queued' || state === 'preparing') {
    return [`Detached. ${name} is ${state}: not billed yet, at most ${cap}.`, ...ways(program, job, true)];
  }
  const rate = cost.rate_per_hour_micros === null ? '' : `, ${money(cost.rate_per_hour_micros)}/h`;
  return [
    `Detached. ${name} is still ${state}.`,
    `  ${money(costNowMicros(cost, nowMs))} so far${rate}, stops at ${cap} at the latest`,
    ...ways(program, job, true),
  ];
}

function ways(program: string, job: JobView, unfinished: boolean): string[] {
  const pairs: [string, string][] = [['follow again', `${program} logs -f ${job.name}`]];
  if (unfinished) pairs.push(['stop it', `${program} cancel ${job.name}`]);
  if (job.dashboard_url) pairs.push(['in browser', job.dashboard_url]);
  return facts(pairs);
}

async function lastLook(client: Client, known: JobView): Promise<JobView> {
  try {
    return await client.jobs.get(known.id, { signal: AbortSignal.timeout(lastLookMs) });
  } catch {
    return known; // The numbers are a little old then; leaving must not fail because the server is away.
  }
}
