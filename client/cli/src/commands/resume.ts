import { ApiError } from '@computefabric/api-client/errors';
import { costLimitAction } from '@computefabric/protocol/cost-limit';
import { parseUsd } from '@computefabric/protocol/money';
import type { Cli } from '../cli.ts';
import { CliError, usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { findJob } from '../jobs/find-job.ts';
import { facts } from '../terminal/table.ts';

export interface ResumeFlags {
  maxCost?: string;
  onLimit?: string;
}

/** `resume JOB --max-cost USD`: lets a job that money has stopped go on, as a new one. Prints its name. */
export async function resumeJob(cli: Cli, reference: string, flags: ResumeFlags): Promise<number> {
  const onLimit = flags.onLimit === undefined ? null : costLimitAction.safeParse(flags.onLimit);
  if (onLimit && !onLimit.success)
    throw usageError(`--on-limit "${flags.onLimit}" is not one of ${costLimitAction.options.join(', ')}`);
  const client = await cli.client();
  const old = await findJob(cli, client, reference);
  const limit = {
    ...(flags.maxCost === undefined ? {} : { max_cost_micros: limitOf(flags.maxCost) }),
    ...(onLimit === null ? {} : { on_limit: onLimit.data }),
  };
  const job = await client.jobs.resume(old.id, limit).catch((thrown: unknown) => {
    if (!(thrown instanceof ApiError) || thrown.code !== 'request/invalid') throw thrown;
    throw new CliError({
      code: thrown.code,
      message: thrown.message,
      facts: [['it has cost', money(old.cost.accrued_micros)]],
      help: [`raise it:   ${cli.program} resume ${old.name} --max-cost …    of all in all, or none`],
      exit: 'usage',
      retry: 'never',
    });
  });
  if (cli.json) {
    cli.printJson(job);
    return exitCode('ok');
  }
  cli.print(job.name);
  const may = job.max_cost_micros === null ? '' : `, and costs ${money(job.max_cost_micros)} more at most`;
  cli.say(`It goes on from ${old.name}${may}; ${money(job.cost.hold_micros)} is reserved.`);
  for (const line of facts([['follow it', `${cli.program} logs -f ${job.name}`]])) cli.say(line);
  return exitCode('ok');
}

function limitOf(text: string): string | null {
  if (text === 'none') return null;
  const micros = parseUsd(text);
  if (micros === null) throw usageError(`--max-cost "${text}" is not an amount in USD such as 0.50, or none`);
  return String(micros);
}
