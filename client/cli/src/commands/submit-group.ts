import { ApiError, UnreachableError } from '@computefabric/api-client/errors';
import { type GroupSpecInput, groupSpec, type GroupView } from '@computefabric/protocol/user-api/groups';
import { memberCount } from '@computefabric/protocol/user-api/shapes';
import type { Cli } from '../cli.ts';
import { CliError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { exitCodeForGroup, followGroup, isSettled, waysToGroup } from '../groups/follow-group.ts';
import { groupLines } from '../groups/group-text.ts';
import { Interrupted } from '../interrupts.ts';
import { money } from '../jobs/cost.ts';
import { printPlan, refuseUnaffordable, refuseUnmatched } from '../jobs/plan.ts';
import type { CheckedJob } from '../jobs/spec-from-flags.ts';
import { ReaderGone } from '../terminal/terminal.ts';

/** What of `submit` is about how, and not about what. */
interface HowFlags {
  yes?: boolean;
  detach?: boolean;
  plan?: boolean;
  cancelOnInterrupt?: boolean;
}

/** Asks whether to submit; rejects when the answer is no. */
type Ask = (question: string, fallback: boolean, interrupt: AbortSignal) => Promise<void>;

/** `submit` of an array, a sweep or a job on several machines: plan of one member, price of all, then progress. */
export async function submitGroup(
  cli: Cli,
  { spec, array, machines }: CheckedJob,
  flags: HowFlags,
  ask: Ask,
): Promise<number> {
  const group = checked({
    spec,
    ...(array === undefined ? {} : { array }),
    ...(machines === undefined ? {} : { machines }),
  });
  const size = group.machines ?? (group.array ? memberCount(group.array) : 1);
  const client = await cli.client();
  const interrupt = cli.interrupts.catch();
  const quiet = cli.json && flags.yes; // nobody would read a plan
  if (flags.plan || !quiet) {
    const quote = await client.jobs.quote(spec, { signal: interrupt });
    const hold = BigInt(quote.hold_micros) * BigInt(size);
    const all = { ...quote, hold_micros: String(hold), affordable: BigInt(quote.balance_micros) >= hold };
    if (flags.plan && cli.json) {
      cli.printJson({ matches: quote.waiting === null, members: size, ...all });
      return exitCode(quote.waiting !== null ? 'noMatch' : all.affordable ? 'ok' : 'money');
    }
    const output = flags.plan ? cli.terminal.out : cli.terminal.talk;
    await printPlan(client, spec, quote, output);
    output.line(`  ${size} of these${parallelText(group)}: at most ${money(hold)} in all`);
    if (flags.plan) refuseUnmatched(cli, spec, quote);
    refuseUnaffordable(all);
    if (flags.plan) return exitCode('ok');
    if (!flags.yes) await ask(`Submit ${size}?`, true, interrupt);
  }
  const made = await create(cli, group);
  if (cli.json) await cli.streamJson(flags.detach ? { ...made } : { event: 'submitted', ...made });
  else if (flags.detach) cli.print(made.name);
  else cli.say(`├ submitted  ${made.name}`);
  if (flags.detach) {
    if (!cli.json) for (const line of waysToGroup(cli.program, made.name)) cli.say(line);
    return exitCode('ok');
  }
  return await followToEnd(cli, made, flags);
}

async function followToEnd(cli: Cli, made: GroupView, flags: HowFlags): Promise<number> {
  const client = await cli.client();
  const signal = AbortSignal.any([cli.interrupts.catch(), cli.terminal.readerGone]);
  try {
    const ended = await followGroup(cli, client, made.id, { signal, until: isSettled });
    const code = exitCodeForGroup(ended);
    if (cli.json) await cli.streamJson({ event: 'end', ...ended, cli_exit_code: code });
    else for (const line of groupLines(cli, ended)) cli.say(line);
    return code;
  } catch (thrown) {
    if (!(thrown instanceof Interrupted) && !(thrown instanceof ReaderGone)) throw thrown;
    if (flags.cancelOnInterrupt) {
      await client.groups.cancel(made.id);
      cli.say(`${made.name} was asked to stop.`);
      return exitCode('jobCancelled');
    }
    if (cli.json) await cli.streamJson({ event: 'detached', ...made, cli_exit_code: exitCode('detached') });
    else {
      cli.say(`Detached. ${made.name} goes on.`);
      for (const line of waysToGroup(cli.program, made.name)) cli.say(line);
    }
    return exitCode('detached');
  }
}

/** Sent whole or not at all; what is not known is said, because submitting again could make a second group. */
async function create(cli: Cli, group: GroupSpecInput): Promise<GroupView> {
  const client = await cli.client();
  try {
    return await client.groups.create(group);
  } catch (thrown) {
    const known = thrown instanceof ApiError && thrown.status < 500;
    if (known || (thrown instanceof UnreachableError && thrown.nothingSent)) throw thrown;
    throw new CliError({
      code: 'cli/submit-unknown',
      message: 'the connection broke; it is not known whether the group was submitted',
      facts: [['because', thrown instanceof Error ? thrown.message : String(thrown)]],
      help: [`see whether it is there:   ${cli.program} status`],
      exit: 'unreachable',
      retry: 'later',
      cause: thrown,
    });
  }
}

function checked(input: GroupSpecInput) {
  const parsed = groupSpec.safeParse(input);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => ({
    path: issue.path.join('.').replace(/^spec\./, ''),
    message: issue.message,
  }));
  throw new CliError({
    code: 'request/invalid',
    message: 'the job is not valid',
    facts: fields.map(({ path, message }) => [path, message]),
    exit: 'usage',
    fields,
    retry: 'never',
  });
}

function parallelText(group: GroupSpecInput): string {
  if (group.machines !== undefined) return ' at the same time, on as many machines';
  const most = group.array?.max_parallel;
  return most === undefined || most === null ? '' : `, ${most} at a time`;
}
