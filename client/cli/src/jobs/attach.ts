import type { Client } from '@computefabric/api-client/client';
import { ApiError, UnreachableError } from '@computefabric/api-client/errors';
import type { JobSummary, JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { CliError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { Interrupted } from '../interrupts.ts';
import { ReaderGone } from '../terminal/terminal.ts';
import { formatDuration } from '@computefabric/protocol/grammar/durations';
import { announceDetached, detachedJson } from './detach.ts';
import { EventLines } from './event-lines.ts';
import { JobOutput, type JobOutputOptions } from './job-output.ts';
import { WaitReport } from './wait-report.ts';

export interface AttachOptions extends JobOutputOptions {
  /** Where to start; the beginning when absent. */
  cursor?: string | undefined;
  /** Show what happens to the job between its output. */
  events: boolean;
  /** Show output. */
  output: boolean;
  /** Stops early, beside Ctrl-C. */
  signal?: AbortSignal | undefined;
  /** Called with the job's state after each event; true ends it. */
  until?: ((state: JobSummary['state']) => boolean) | undefined;
  /** What is said to somebody who leaves, instead of how to come back. */
  farewell?: string | undefined;
  /** Ctrl-C asks the job to stop instead of detaching. */
  cancelOnInterrupt?: boolean | undefined;
}

export type AttachResult =
  | { kind: 'ended'; job: JobSummary; output: JobOutput }
  | { kind: 'reached'; output: JobOutput }
  /** Detached, and said so. */
  | { kind: 'detached'; exitCode: number };

/**
 * Follows a job on the terminal until it ends, `until` is satisfied, or the person leaves it. The job itself
 * does not care: it runs on the market's side.
 */
export async function attach(
  cli: Cli,
  client: Client,
  job: JobView,
  options: AttachOptions,
): Promise<AttachResult> {
  const interrupt = cli.interrupts.catch();
  let stop = AbortSignal.any([
    interrupt,
    cli.terminal.readerGone,
    ...(options.signal ? [options.signal] : []),
  ]);
  let cancelling = false;
  let { cursor } = options;
  const output = new JobOutput(cli, options);
  const lines = options.events && !cli.json ? new EventLines(cli) : null;
  const waiting = lines ? new WaitReport(cli, client, job) : null;

  while (true) {
    try {
      const following = client.jobs.follow(job.id, {
        cursor,
        signal: stop,
        onLost: () => cli.terminal.live('connection lost, trying again…'),
        onReconnect: ({ downMs }) => {
          if (cli.json) cli.printJson({ event: 'reconnected', gap_ms: Math.round(downMs) });
          else output.remark(`reconnected, ${formatDuration(downMs)} gap filled`);
        },
      });
      for await (const item of following) {
        cursor = item.cursor;
        waiting?.pause();
        if (item.kind === 'log' && options.output) await output.entry(item.entry);
        if (item.kind === 'job') {
          if (cli.json && options.events) await cli.streamJson({ event: 'job', ...item.event });
          if (lines) {
            await output.pause();
            lines.show(item.event);
          }
          if (options.until?.(item.event.state)) return { kind: 'reached', output };
          waiting?.resume(item.event.state);
        }
        if (item.kind === 'end') {
          await output.end();
          return { kind: 'ended', job: item.job, output };
        }
      }
    } catch (thrown) {
      waiting?.pause();
      await output.end();
      if (thrown instanceof Interrupted && options.cancelOnInterrupt && !cancelling) {
        cancelling = true;
        cli.say(`Cancelling ${job.name}. Ctrl-C again leaves at once.`);
        await cancelIfUnfinished(client, job.id);
        stop = AbortSignal.any([cli.terminal.readerGone, AbortSignal.timeout(cancelMs)]);
        continue;
      }
      if (thrown instanceof Interrupted || thrown instanceof ReaderGone) {
        if (cli.json) await detachedJson(cli, client, job);
        else if (options.farewell !== undefined) cli.say(options.farewell);
        else await announceDetached(cli, client, job);
        return { kind: 'detached', exitCode: exitCode('detached') };
      }
      throw cancelling && stop.aborted ? stillCancelling(cli, job) : lostTouch(cli, job, thrown);
    } finally {
      waiting?.pause();
    }
  }
}

/** Longest wait for a cancelled job to end, ms: its program has some seconds to stop by itself. */
const cancelMs = 60_000;

async function cancelIfUnfinished(client: Client, id: string): Promise<void> {
  try {
    await client.jobs.cancel(id);
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.code !== 'job/already-final') throw thrown;
  }
}

function stillCancelling(cli: Cli, job: JobView): CliError {
  return new CliError({
    code: 'cli/timeout',
    message: `${job.name} has not ended within ${formatDuration(cancelMs)} of being cancelled`,
    help: [`the cancellation goes on; see:   ${cli.program} status ${job.name}`],
    exit: 'timeout',
    retry: 'later',
  });
}

/** The server went away for good: say that the job did not. */
function lostTouch(cli: Cli, job: JobView, thrown: unknown): unknown {
  if (!(thrown instanceof UnreachableError)) return thrown;
  return new CliError({
    code: 'cli/unreachable',
    message: thrown.message,
    facts: [['the job', `${job.name} was submitted; it does not need this connection`]],
    help: [`follow again:   ${cli.program} logs -f ${job.name}`],
    exit: 'unreachable',
    retry: 'later',
    cause: thrown,
  });
}
