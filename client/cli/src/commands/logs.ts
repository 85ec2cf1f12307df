import type { Client } from '@computefabric/api-client/client';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { attach } from '../jobs/attach.ts';
import { findJob } from '../jobs/find-job.ts';
import { JobOutput, type JobOutputOptions } from '../jobs/job-output.ts';
import { isFinal } from '../jobs/outcome.ts';
import { whole } from '../jobs/flag-values.ts';
import { lastLines } from '../jobs/tail.ts';
import { parseSince } from '@computefabric/protocol/grammar/durations';

export interface LogsFlags {
  follow?: boolean;
  tail?: string;
  since?: string;
  timestamps?: boolean;
  attempt?: string;
  raw?: boolean;
}

/** `logs JOB`: the output so far; with -f on and on until the job has ended. */
export async function showLogs(cli: Cli, reference: string, flags: LogsFlags): Promise<number> {
  const tail = flags.tail === undefined ? undefined : whole(flags.tail, '--tail');
  const options: JobOutputOptions = {
    raw: flags.raw,
    timestamps: flags.timestamps,
    attempt: flags.attempt === undefined ? undefined : whole(flags.attempt, '--attempt', 1),
    since: flags.since === undefined ? undefined : sinceMoment(flags.since),
  };
  const client = await cli.client();
  const job = await findJob(cli, client, reference);
  if (!flags.follow) return await snapshot(cli, client, job, options, tail);

  const cursor = tail === undefined ? undefined : await printTail(cli, client, job, options, tail);
  const result = await attach(cli, client, job, { ...options, cursor, events: false, output: true });
  if (result.kind === 'detached') return cli.terminal.readerGone.aborted ? exitCode('ok') : result.exitCode;
  if (result.kind === 'ended') {
    if (cli.json) await cli.streamJson({ event: 'end', ...result.job });
    else if (tail === undefined && result.output.count === 0)
      cli.say(emptyText(result.job.name, result.job.state));
  }
  return exitCode('ok');
}

/** What there is now. */
async function snapshot(
  cli: Cli,
  client: Client,
  job: JobView,
  options: JobOutputOptions,
  tail: number | undefined,
): Promise<number> {
  if (cli.json) {
    const { entries, cursor, complete } = await collect(cli, client, job, options, tail);
    cli.printJson({ id: job.id, entries, next_cursor: cursor ?? null, complete });
    return exitCode('ok');
  }
  const output = new JobOutput(cli, options);
  if (tail === undefined) {
    const signal = cli.terminal.readerGone;
    for await (const page of client.logs.all(job.id, { attempt: options.attempt }, { signal })) {
      for (const entry of page.entries) await output.entry(entry);
    }
  } else {
    const { entries } = await collect(cli, client, job, options, tail);
    for (const entry of entries) await output.entry(entry);
  }
  await output.end();
  if (output.count === 0) cli.say(emptyText(job.name, job.state));
  return exitCode('ok');
}

/** The last lines there are now, before following; gives the place where they end. */
async function printTail(
  cli: Cli,
  client: Client,
  job: JobView,
  options: JobOutputOptions,
  tail: number,
): Promise<string | undefined> {
  const { entries, cursor } = await collect(cli, client, job, options, tail);
  const output = new JobOutput(cli, options);
  for (const entry of entries) await output.entry(entry);
  await output.pause();
  return cursor;
}

async function collect(
  cli: Cli,
  client: Client,
  job: JobView,
  { attempt, since }: JobOutputOptions,
  tail: number | undefined,
): Promise<{ entries: LogEntry[]; cursor: string | undefined; complete: boolean }> {
  let entries: LogEntry[] = [];
  let cursor: string | undefined;
  let complete = false;
  const signal = cli.terminal.readerGone;
  for await (const page of client.logs.all(job.id, { attempt }, { signal })) {
    const wanted =
      since === undefined
        ? page.entries
        : page.entries.filter(({ at }) => Date.parse(at) >= Date.parse(since));
    // Cut after each page: the whole output of a long job need not fit into memory for its last lines.
    entries = tail === undefined ? [...entries, ...wanted] : lastLines([...entries, ...wanted], tail);
    ({ next_cursor: cursor, complete } = page);
  }
  return { entries, cursor, complete };
}

/** No output is no error, and not the same as no answer: say which it is. */
function emptyText(name: string, state: JobView['state']): string {
  return isFinal(state) ? `${name} wrote no output.` : `No output yet: ${name} is ${state}.`;
}

export function sinceMoment(text: string): string {
  const moment = parseSince(text, Date.now());
  if (moment === null) {
    throw usageError(`--since "${text}" is no duration and no moment`, 'such as 24h or 2026-03-01T12:00:00Z');
  }
  return moment;
}
