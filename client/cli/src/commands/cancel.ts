import { ApiError } from '@computefabric/api-client/errors';
import type { Client } from '@computefabric/api-client/client';
import type { GroupView } from '@computefabric/protocol/user-api/groups';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { CliError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { findTarget } from '../groups/find-target.ts';
import { followGroup } from '../groups/follow-group.ts';
import { Interrupted } from '../interrupts.ts';
import { attach } from '../jobs/attach.ts';
import { money } from '../jobs/cost.ts';
import { isFinal } from '../jobs/outcome.ts';

/** `cancel JOB`: asks a job to stop. A job that is cancelled already is as wanted. */
export async function cancelJob(cli: Cli, reference: string, flags: { wait?: boolean }): Promise<number> {
  const client = await cli.client();
  const target = await findTarget(cli, client, reference);
  if (target.kind === 'group') return await cancelGroup(cli, client, target.group, flags);
  const known = target.job;
  let job = await requestCancel(cli, client, known);
  if (flags.wait && !isFinal(job.state)) {
    const result = await attach(cli, client, job, {
      events: false,
      output: false,
      farewell: `Stopped waiting. The cancellation of ${job.name} goes on.`,
    });
    if (result.kind === 'detached') return result.exitCode;
    job = await client.jobs.get(job.id);
  }
  if (cli.json) cli.printJson(job);
  else if (isFinal(job.state))
    cli.say(`${job.name} is ${job.state}. Cost: ${money(job.cost.accrued_micros)}.`);
  else {
    cli.say(`${job.name} was asked to stop; its program gets some seconds to end by itself.`);
    cli.say(`  see it end   ${cli.program} wait ${job.name}`);
  }
  return exitCode('ok');
}

/** All members at once. */
async function cancelGroup(
  cli: Cli,
  client: Client,
  known: GroupView,
  flags: { wait?: boolean },
): Promise<number> {
  if (known.state === 'cancelled') return said(cli, known);
  let group: GroupView;
  try {
    group = await client.groups.cancel(known.id);
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.code !== 'group/already-final') throw thrown;
    throw new CliError({
      code: thrown.code,
      message: `${known.name} has ended already`,
      help: [`see how:   ${cli.program} status ${known.name}`],
      exit: 'error',
      retry: 'never',
    });
  }
  if (flags.wait) {
    const signal = cli.interrupts.catch();
    try {
      group = await followGroup(cli, client, group.id, { signal, until: ({ state }) => state !== 'active' });
    } catch (thrown) {
      if (!(thrown instanceof Interrupted)) throw thrown;
      cli.say(`Stopped waiting. The cancellation of ${group.name} goes on.`);
      return exitCode('detached');
    }
  }
  return said(cli, group);
}

function said(cli: Cli, group: GroupView): number {
  if (cli.json) cli.printJson(group);
  else if (group.state !== 'active')
    cli.say(`${group.name} is ${group.state}. Cost: ${money(group.cost.accrued_micros)}.`);
  else {
    cli.say(`All members of ${group.name} are asked to stop.`);
    cli.say(`  see them end   ${cli.program} wait ${group.name}`);
  }
  return exitCode('ok');
}

async function requestCancel(cli: Cli, client: Client, known: JobView): Promise<JobView> {
  try {
    return await client.jobs.cancel(known.id);
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.code !== 'job/already-final') throw thrown;
    const job = await client.jobs.get(known.id);
    if (job.state === 'cancelled') return job;
    throw new CliError({
      code: thrown.code,
      message: `${job.name} has ended already: ${job.state}`,
      help: [`see how:   ${cli.program} status ${job.name}`],
      exit: 'error',
      retry: 'never',
    });
  }
}
