import { pause } from '@computefabric/runtime/wait';
import type { Client } from '@computefabric/api-client/client';
import type { JobListQuery } from '@computefabric/api-client/jobs';
import { activeJobStates, type JobState, jobMachine, jobStates } from '@computefabric/protocol/job-state';
import type { GroupSummary, GroupView } from '@computefabric/protocol/user-api/groups';
import type { JobSummary, JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { findTarget } from '../groups/find-target.ts';
import { exitCodeForGroup } from '../groups/follow-group.ts';
import { groupLines, groupsTable, progressText } from '../groups/group-text.ts';
import { Interrupted } from '../interrupts.ts';
import { jobLines, jobsTable } from '../jobs/job-text.ts';
import { exitCodeForJob, isFinal } from '../jobs/outcome.ts';
import { whole } from '../jobs/flag-values.ts';
import { ReaderGone } from '../terminal/terminal.ts';
import { type Watched, WatchScreen } from '../terminal/watch-screen.ts';
import { nearest } from '@computefabric/protocol/grammar/similar';
import { lastCheckpointText } from './checkpoints.ts';
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
  if (reference !== undefined) {
    const target = await findTarget(cli, client, reference);
    return target.kind === 'job'
      ? await oneJob(cli, client, target.job, flags)
      : await oneGroup(cli, client, target.group, flags);
  }
  if (flags.exitStatus) throw usageError('--exit-status is about one job: name it');
  const load = await listLoader(client, flags);
  if (flags.watch) {
    const screen = new WatchScreen(cli);
    return await watch(cli, async () => {
      const list = await load();
      screen.show([...list.groups.map(watchedGroup), ...list.items.map(watchedJob)], listLines(cli, list));
      return false;
    });
  }
  const list = await load();
  if (cli.json) cli.printJson(list);
  else if (list.items.length + list.groups.length === 0) {
    cli.say('No jobs like that.');
    cli.say(`  submit one   ${cli.program} submit --help`);
  } else for (const line of listLines(cli, list)) cli.print(line);
  return exitCode('ok');
}

/** What a list shows; groups stand for their members where no filter asks for jobs. */
interface JobList {
  items: JobSummary[];
  groups: GroupSummary[];
}

function listLines(cli: Cli, { items, groups }: JobList): string[] {
  const { out } = cli.terminal;
  const groupLines = groups.length === 0 ? [] : groupsTable(out.style, groups);
  const jobLines = items.length === 0 ? [] : jobsTable(out, items);
  return [...groupLines, ...(groupLines.length > 0 && jobLines.length > 0 ? [''] : []), ...jobLines];
}

function watchedJob(job: JobSummary): Watched {
  const steady = { as_of: '', accrued_micros: '', billed_ms: 0 };
  const shape = { ...job, cost: { ...job.cost, ...steady }, cost_micros: '' };
  return { id: job.id, shape, text: `${job.name}  ${job.state}`, json: job };
}

function watchedGroup(group: GroupSummary): Watched {
  const text = `${group.name}  ${group.state}  ${progressText(group)}`;
  return { id: group.id, shape: [group.state, group.counts], text, json: group };
}

async function oneJob(cli: Cli, client: Client, found: JobView, flags: StatusFlags): Promise<number> {
  let job = found;
  const result = () => (flags.exitStatus ? exitCodeForJob(job) : exitCode('ok'));
  if (!flags.watch) {
    if (cli.json) cli.printJson({ ...job, cli_exit_code: result() });
    else for (const line of jobLines(cli, job, await savedText(client, job))) cli.print(line);
    return result();
  }
  const screen = new WatchScreen(cli);
  const code = await watch(cli, async () => {
    job = await client.jobs.get(job.id);
    screen.show([watchedJob(job)], jobLines(cli, job, await savedText(client, job)));
    return isFinal(job.state);
  });
  return code === exitCode('ok') ? result() : code;
}

/** What the job's next try would go on from; asked for only where there can be something. */
async function savedText(client: Client, job: JobView): Promise<string | null> {
  return job.checkpoint ? lastCheckpointText(job, (await client.jobs.checkpoints(job.id)).items) : null;
}

async function oneGroup(cli: Cli, client: Client, found: GroupView, flags: StatusFlags): Promise<number> {
  let group = found;
  const result = () => (flags.exitStatus ? exitCodeForGroup(group) : exitCode('ok'));
  if (!flags.watch) {
    if (cli.json) cli.printJson({ ...group, cli_exit_code: result() });
    else for (const line of groupLines(cli, group)) cli.print(line);
    return result();
  }
  const screen = new WatchScreen(cli);
  const code = await watch(cli, async () => {
    group = await client.groups.get(group.id);
    screen.show([watchedGroup(group)], groupLines(cli, group));
    return group.state !== 'active';
  });
  return code === exitCode('ok') ? result() : code;
}

/** How to get the list that the flags ask for; checks them at once. */
async function listLoader(client: Client, flags: StatusFlags): Promise<() => Promise<JobList>> {
  const states = flags.state === undefined ? undefined : parseStates(flags.state);
  const since = flags.since === undefined ? undefined : sinceMoment(flags.since);
  const count = flags.number === undefined ? undefined : whole(flags.number, '--number', 1);
  if (flags.all || states || since || count) {
    return async () => ({
      items: await loadJobs(client, { state: states, since }, count ?? defaultCount),
      groups: [],
    });
  }
  const ended = jobStates.filter((state) => jobMachine.isTerminal(state));
  return async () => {
    const [unfinished, last, groups] = await Promise.all([
      loadJobs(client, { state: [...activeJobStates], ungrouped: 'true' }, pageItems),
      loadJobs(client, { state: ended, ungrouped: 'true' }, 1),
      client.groups.list({ limit: pageItems }),
    ]);
    return {
      items: [...unfinished, ...last],
      groups: groups.items.filter(({ state }) => state === 'active'),
    };
  };
}

async function loadJobs(
  client: Client,
  query: Pick<JobListQuery, 'state' | 'since' | 'ungrouped'>,
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
