import { ApiError } from '@computefabric/api-client/errors';
import type { Client } from '@computefabric/api-client/client';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { CliError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { attach } from '../jobs/attach.ts';
import { money } from '../jobs/cost.ts';
import { findJob } from '../jobs/find-job.ts';
import { isFinal } from '../jobs/outcome.ts';

/** `cancel JOB`: asks a job to stop. A job that is cancelled already is as wanted. */
export async function cancelJob(cli: Cli, reference: string, flags: { wait?: boolean }): Promise<number> {
  const client = await cli.client();
  const known = await findJob(cli, client, reference);
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
