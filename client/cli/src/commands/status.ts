import { pause } from '@computefabric/runtime/wait';
import type { Client } from '@computefabric/api-client/client';
import { activeJobStates, type JobState, jobMachine, jobStates } from '@computefabric/protocol/job-state';
import type { JobSummary } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { Interrupted } from '../interrupts.ts';
import { findJob } from '../jobs/find-job.ts';
import { jobLines, jobsTable } from '../jobs/job-text.ts';
import { exitCodeForJob, isFinal } from '../jobs/outcome.ts';
import { whole } from '../jobs/flag-values.ts';
import { ReaderGone } from '../terminal/terminal.ts';
import { nearest } from '@computefabric/protocol/grammar/similar';
import { sinceMoment } from './logs.ts';

export interface StatusFlags {
  all?: boolean;
  number?: string;
  since?: string;
  state?: string;
  watch?: boolean;
  exitStatus?: boolean;
}

/** Time between two looks with --watch, ms. */
const watchMs = 2_000;
/** Jobs in one page of the API. */
const pageItems = 200;
/** Jobs shown by --all and by filters when -n says nothing. */
const defaultCount = 50;

/** `status [JOB]`: your unfinished jobs and the last one that ended, or one job with all there is to know. */
export async function showStatus(
  cli: Cli,
  reference: string | undefined,
  flags: StatusFlags,
): Promise<number> {
  const client = await cli.client();
  if (reference !== undefined) return await oneJob(cli, client, reference, flags);
  if (flags.exitStatus) throw usageError('--exit-status is about one job: name it');
  const load = await listLoader(client, flags);
  if (flags.watch) {
    const screen = new WatchScreen(cli);
    return await watch(cli, async () => {
      const items = await load();
      screen.show(items, jobsTable(cli.terminal.out, items));
      return false;
    });
  }
  const items = await load();
  if (cli.json) cli.printJson({ items });
  else if (items.length === 0) {
    cli.say('No jobs like that.');
    cli.say(`  submit one   ${cli.program} submit --help`);
  } else for (const line of jobsTable(cli.terminal.out, items)) cli.print(line);
  return exitCode('ok');
}

async function oneJob(cli: Cli, client: Client, reference: string, flags: StatusFlags): Promise<number> {
  let job = await findJob(cli, client, reference);
  const result = () => (flags.exitStatus ? exitCodeForJob(job) : exitCode('ok'));
  if (!flags.watch) {
    if (cli.json) cli.printJson({ ...job, cli_exit_code: result() });
    else for (const line of jobLines(cli, job)) cli.print(line);
    return result();
  }
  const screen = new WatchScreen(cli);
  const code = await watch(cli, async () => {
    job = await client.jobs.get(job.id);
    screen.show([job], jobLines(cli, job));
    return isFinal(job.state);
  });
  return code === exitCode('ok') ? result() : code;
}

/** How to get the list that the flags ask for; checks them at once. */
async function listLoader(client: Client, flags: StatusFlags): Promise<() => Promise<JobSummary[]>> {
  const states = flags.state === undefined ? undefined : parseStates(flags.state);
  const since = flags.since === undefined ? undefined : sinceMoment(flags.since);
  const count = flags.number === undefined ? undefined : whole(flags.number, '--number', 1);
  if (flags.all || states || since || count) {
    return () => loadJobs(client, { state: states, since }, count ?? defaultCount);
  }
  const ended = jobStates.filter((state) => jobMachine.isTerminal(state));
  return async () => {
    const [unfinished, last] = await Promise.all([
      loadJobs(client, { state: [...activeJobStates] }, pageItems),
      loadJobs(client, { state: ended }, 1),
    ]);
    return [...unfinished, ...last];
  };
}

async function loadJobs(
  client: Client,
  query: { state?: JobState[] | undefined; since?: string | undefined },
  count: number,
): Promise<JobSummary[]> {
  const items: JobSummary[] = [];
  let cursor: string | undefined;
  while (items.length < count) {
    const limit = Math.min(pageItems, count - items.length);
    const page = await client.jobs.list({ ...query, limit, cursor });
    items.push(...page.items);
    if (page.next_cursor === null) break;
    cursor = page.next_cursor;
  }
  return items;
}

function parseStates(text: string): JobState[] {
  return text.split(',').map((name) => {
    const state = jobStates.find((known) => known === name.trim());
    if (state) return state;
    const similar = nearest(name.trim(), jobStates);
    throw usageError(
      `--state "${name.trim()}" is not a state of a job`,
      similar ? `a similar one exists: ${similar}` : `there are ${jobStates.join(', ')}`,
    );
  });
}

/** Looks again and again until `look` says that it is over, or Ctrl-C. */
async function watch(cli: Cli, look: () => Promise<boolean>): Promise<number> {
  const signal = AbortSignal.any([cli.interrupts.catch(), cli.terminal.readerGone]);
  try {
    while (!(await look())) {
      await pause(watchMs, signal);
      signal.throwIfAborted();
    }
    return exitCode('ok');
  } catch (thrown) {
    if (thrown instanceof ReaderGone) return exitCode('ok');
    if (thrown instanceof Interrupted) return exitCode('detached');
    throw thrown;
  }
}

/** Draws over itself on a terminal; elsewhere, and as JSON, appends what has changed. */
class WatchScreen {
  readonly #cli: Cli;
  #drawn = 0;
  readonly #shown = new Map<string, string>();

  constructor(cli: Cli) {
    this.#cli = cli;
  }

  show(jobs: readonly JobSummary[], lines: readonly string[]): void {
    const { out } = this.#cli.terminal;
    if (!this.#cli.json && out.canRedraw) {
      out.raw(this.#drawn > 0 ? `\u001b[${this.#drawn}A\u001b[0J` : '');
      for (const line of lines) out.line(line);
      this.#drawn = lines.length;
      return;
    }
    for (const job of jobs) {
      // What only grows with time is no change.
      const steady = { as_of: '', accrued_micros: '', billed_ms: 0 };
      const key = JSON.stringify({ ...job, cost: { ...job.cost, ...steady }, cost_micros: '' });
      if (this.#shown.get(job.id) === key) continue;
      this.#shown.set(job.id, key);
      if (this.#cli.json) this.#cli.printJson(job);
      else this.#cli.print(`${new Date().toISOString()}  ${job.name}  ${job.state}`);
    }
  }
}
