import type { Client } from '@computefabric/api-client/client';
import type { GroupView } from '@computefabric/protocol/user-api/groups';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { CliError, usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { findTarget } from '../groups/find-target.ts';
import { exitCodeForGroup, followGroup, isSettled } from '../groups/follow-group.ts';
import { groupLines } from '../groups/group-text.ts';
import { Interrupted } from '../interrupts.ts';
import { attach } from '../jobs/attach.ts';
import { exitCodeForJob, isFinal } from '../jobs/outcome.ts';
import { settledJob } from '../jobs/settled-job.ts';
import { seconds } from '../jobs/flag-values.ts';
import { printSummary } from '../jobs/summary.ts';
import { nearest } from '@computefabric/protocol/grammar/similar';

export interface WaitFlags {
  for: string;
  timeout?: string;
  exitCodeFromJob?: boolean;
}

const goals = ['done', 'running'] as const;

/** `wait JOB`: returns when the job has ended (or runs), told by events, not by asking again and again. */
export async function waitForJob(cli: Cli, reference: string, flags: WaitFlags): Promise<number> {
  const goal = goals.find((known) => known === flags.for);
  if (!goal) {
    const similar = nearest(flags.for, goals);
    throw usageError(
      `--for "${flags.for}" is not running or done`,
      ...(similar ? [`a similar one exists: ${similar}`] : []),
    );
  }
  const timeoutSeconds = flags.timeout === undefined ? undefined : seconds(flags.timeout, '--timeout');
  const late = timeoutSeconds === undefined ? undefined : AbortSignal.timeout(timeoutSeconds * 1_000);
  const client = await cli.client();
  const target = await findTarget(cli, client, reference);
  if (target.kind === 'group') return await waitForGroup(cli, client, target.group, { goal, late, flags });
  const { job } = target;
  try {
    const arrived = (state: JobView['state']) => goal === 'running' && state === 'running';
    if (arrived(job.state)) return report(cli, job, exitCode('ok'));
    if (!isFinal(job.state)) {
      const result = await attach(cli, client, job, {
        events: !cli.json,
        output: false,
        signal: late,
        until: arrived,
      });
      if (result.kind === 'detached') return result.exitCode;
      if (result.kind === 'reached') return report(cli, await client.jobs.get(job.id), exitCode('ok'));
    }
    const ended = await settledJob(client, job.id, late);
    if (!cli.json) await printSummary(cli, client, ended);
    return report(cli, ended, exitCodeForJob(ended, flags.exitCodeFromJob));
  } catch (thrown) {
    if (!late?.aborted || thrown instanceof CliError) throw thrown;
    throw new CliError({
      code: 'cli/timeout',
      message: `${job.name} was not ${goal === 'done' ? 'done' : 'running'} within ${flags.timeout}`,
      facts: [['state', (await client.jobs.get(job.id)).state]],
      help: [`why it waits:   ${cli.program} explain ${job.name}`],
      exit: 'timeout',
      retry: 'later',
    });
  }
}

/** A group runs as soon as one of its members does, and is done when all have ended. */
async function waitForGroup(
  cli: Cli,
  client: Client,
  group: GroupView,
  { goal, late, flags }: { goal: (typeof goals)[number]; late: AbortSignal | undefined; flags: WaitFlags },
): Promise<number> {
  if (flags.exitCodeFromJob) throw usageError('--exit-code-from-job is about one job, and this is a group');
  const signal = AbortSignal.any([cli.interrupts.catch(), ...(late ? [late] : [])]);
  try {
    const running = (now: GroupView) => goal === 'running' && now.counts.running > 0;
    const until = (now: GroupView) => running(now) || isSettled(now);
    const last = await followGroup(cli, client, group.id, { signal, until });
    const code = running(last) ? exitCode('ok') : exitCodeForGroup(last);
    if (cli.json) cli.printJson({ ...last, cli_exit_code: code });
    else for (const line of groupLines(cli, last)) cli.say(line);
    return code;
  } catch (thrown) {
    if (thrown instanceof Interrupted) {
      cli.say(`Stopped waiting. ${group.name} goes on.`);
      return exitCode('detached');
    }
    if (!late?.aborted || thrown instanceof CliError) throw thrown;
    throw new CliError({
      code: 'cli/timeout',
      message: `${group.name} was not ${goal === 'done' ? 'done' : 'running'} within ${flags.timeout}`,
      help: [`how it stands:   ${cli.program} status ${group.name}`],
      exit: 'timeout',
      retry: 'later',
    });
  }
}

function report(cli: Cli, job: JobView, code: number): number {
  if (cli.json) cli.printJson({ ...job, cli_exit_code: code });
  return code;
}
