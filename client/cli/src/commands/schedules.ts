import type { ScheduleState } from '@computefabric/protocol/schedule-state';
import type { Firing, ScheduleView } from '@computefabric/protocol/user-api/schedules';
import type { Cli } from '../cli.ts';
import { CliError, usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { whole } from '../jobs/flag-values.ts';
import { jobFromFlags, type SpecFlags } from '../jobs/spec-from-flags.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';

export interface ScheduleFlags extends SpecFlags {
  cron?: string;
  timezone?: string;
  overlap?: string;
}

/** `schedule create NAME`: submits the job that the flags describe at each time of a cron line. */
export async function createSchedule(
  cli: Cli,
  name: string,
  argv: readonly string[],
  flags: ScheduleFlags,
): Promise<number> {
  if (flags.cron === undefined)
    throw usageError(
      '--cron is missing: five fields such as "30 3 * * 1-5"',
      'minute, hour, day, month, weekday',
    );
  const overlap = flags.overlap ?? 'skip';
  if (overlap !== 'skip' && overlap !== 'allow')
    throw usageError(`--overlap "${overlap}" is not skip or allow`);
  const { spec, array, machines } = await jobFromFlags(flags, argv);
  if (array !== undefined || machines !== undefined)
    throw usageError('a schedule submits single jobs: leave --array, --matrix and --machines out');
  const client = await cli.client();
  const schedule = await client.schedules.create({
    name,
    cron: flags.cron,
    spec,
    overlap,
    ...(flags.timezone === undefined ? {} : { timezone: flags.timezone }),
  });
  if (cli.json) cli.printJson(schedule);
  else {
    cli.print(schedule.name);
    const lines = facts([
      ['fires next', schedule.next_at ?? 'never'],
      ['see its jobs', `${cli.program} schedule runs ${schedule.name}`],
      ['stop it', `${cli.program} schedule pause ${schedule.name}`],
    ]);
    for (const line of lines) cli.say(line);
  }
  return exitCode('ok');
}

/** `schedule list`: your schedules, newest first. */
export async function listSchedules(cli: Cli): Promise<number> {
  const client = await cli.client();
  const items: ScheduleView[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.schedules.list({ limit: 200, cursor });
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  if (cli.json) cli.printJson({ items });
  else if (items.length === 0) {
    cli.say('You have no schedules.');
    cli.say(`  make one   ${cli.program} schedule create --help`);
  } else for (const line of schedulesTable(items)) cli.print(line);
  return exitCode('ok');
}

/** `schedule pause NAME` and `schedule resume NAME`. */
export async function changeSchedule(cli: Cli, name: string, state: ScheduleState): Promise<number> {
  const client = await cli.client();
  const schedule = await client.schedules.change(name, state);
  if (cli.json) cli.printJson(schedule);
  else if (schedule.state === 'paused') cli.say(`${schedule.name} is paused. Its jobs go on.`);
  else cli.say(`${schedule.name} fires next at ${schedule.next_at ?? 'no time'}.`);
  return exitCode('ok');
}

/** `schedule delete NAME`: its jobs stay. */
export async function deleteSchedule(cli: Cli, name: string): Promise<number> {
  await (await cli.client()).schedules.remove(name);
  if (cli.json) cli.printJson({ name, deleted: true });
  else cli.say(`${name} is deleted. The jobs that it submitted stay.`);
  return exitCode('ok');
}

/** `schedule runs NAME`: the times at which it fired, newest first, and what became of each. */
export async function listFirings(cli: Cli, name: string, flags: { number?: string }): Promise<number> {
  const limit = flags.number === undefined ? 20 : whole(flags.number, '--number', 1);
  if (limit > 200)
    throw new CliError({ code: 'cli/usage', message: '--number must be at most 200', exit: 'usage' });
  const { items } = await (await cli.client()).schedules.firings(name, { limit });
  if (cli.json) cli.printJson({ items });
  else if (items.length === 0) cli.say(`${name} has not fired yet.`);
  else for (const line of firingsTable(items)) cli.print(line);
  return exitCode('ok');
}

function schedulesTable(items: readonly ScheduleView[]): string[] {
  const columns = [
    { title: 'SCHEDULE' },
    { title: 'STATE' },
    { title: 'CRON' },
    { title: 'TIME ZONE' },
    { title: 'NEXT' },
    { title: 'LAST' },
  ];
  const rows = items.map((schedule) => [
    plainText(schedule.name),
    schedule.state,
    plainText(schedule.cron),
    plainText(schedule.timezone),
    schedule.next_at ?? plainText(schedule.paused_because ?? '–'),
    schedule.last === null ? '–' : outcomeText(schedule.last),
  ]);
  return table(columns, rows);
}

function firingsTable(items: readonly Firing[]): string[] {
  const columns = [{ title: 'DUE' }, { title: 'FIRED' }, { title: 'WHAT HAPPENED' }];
  return table(
    columns,
    items.map((item) => [item.due_at, item.fired_at, outcomeText(item)]),
  );
}

function outcomeText(firing: Firing): string {
  if (firing.state === 'submitted') return plainText(firing.job_name ?? 'submitted');
  return `${firing.state}: ${plainText(firing.detail ?? '')}`;
}
