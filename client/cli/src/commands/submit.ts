import { readFile } from 'node:fs/promises';
import type { Client } from '@computefabric/api-client/client';
import { ApiError, UnreachableError } from '@computefabric/api-client/errors';
import { type RegistryLogin, registryLogin } from '@computefabric/protocol/registry-login';
import type { JobSpec } from '@computefabric/protocol/user-api/job-spec';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Quote } from '@computefabric/protocol/user-api/quotes';
import type { Cli } from '../cli.ts';
import { CliError, usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { Interrupted } from '../interrupts.ts';
import { attach } from '../jobs/attach.ts';
import { announceDetached, detachedJson } from '../jobs/detach.ts';
import { exitCodeForJob } from '../jobs/outcome.ts';
import { printPlan, refuseUnaffordable, refuseUnmatched } from '../jobs/plan.ts';
import { settledJob } from '../jobs/settled-job.ts';
import { jobFromFlags, type SpecFlags } from '../jobs/spec-from-flags.ts';
import { printSummary } from '../jobs/summary.ts';
import { confirm } from '../terminal/confirm.ts';
import { facts } from '../terminal/table.ts';
import { submitGroup } from './submit-group.ts';

export interface SubmitFlags extends SpecFlags {
  yes?: boolean;
  detach?: boolean;
  plan?: boolean;
  exitCodeFromJob?: boolean;
  cancelOnInterrupt?: boolean;
  raw?: boolean;
  registryUser?: string;
  registryPasswordFile?: string;
}

/**
 * `submit`: shows plan and price, asks, submits, and follows the job to its end. Its exit code tells how the
 * job ended.
 */
export async function submitJob(cli: Cli, argv: readonly string[], flags: SubmitFlags): Promise<number> {
  const job = await jobFromFlags(flags, argv);
  const { spec, file } = job;
  if (file !== null && flags.file === undefined) cli.say(`Reading ${file}`);
  const interrupt = cli.interrupts.catch();
  // Before anything is asked of the server: a script that forgot --yes should learn of it at once.
  if (!flags.plan && !flags.yes && !cli.mayAsk) throw confirmationNeeded(cli);
  const login = await registryLoginFrom(cli, flags);
  if (job.array !== undefined || job.machines !== undefined) {
    if (login) throw usageError('a registry login is for one job, not for many at once');
    return await submitGroup(cli, job, flags, (question, fallback, signal) =>
      agree(cli, question, fallback, signal),
    );
  }
  return await submitSingle(cli, spec, login, flags, interrupt);
}

/** The password comes from a file or from stdin: as a flag it would be in the list of processes and in the history. */
async function registryLoginFrom(cli: Cli, flags: SubmitFlags): Promise<RegistryLogin | undefined> {
  const { registryUser: username, registryPasswordFile: file } = flags;
  if (username === undefined && file === undefined) return undefined;
  if (username === undefined || file === undefined)
    throw usageError('--registry-user and --registry-password-file go together');
  const text =
    file === '-' ? await readAll(cli.terminal.stdin) : await readFile(file, 'utf8').catch(() => null);
  if (text === null) throw usageError(`--registry-password-file: ${file} cannot be read`);
  const password = text.replace(/\r?\n$/, '');
  const login = registryLogin.safeParse({ username, password });
  if (!login.success) throw usageError('the registry login is empty, or longer than any is');
  return login.data;
}

async function readAll(stdin: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const part of stdin) text += String(part);
  return text;
}

async function submitSingle(
  cli: Cli,
  spec: JobSpec,
  login: RegistryLogin | undefined,
  flags: SubmitFlags,
  interrupt: AbortSignal,
): Promise<number> {
  const client = await cli.client();
  let job: JobView;
  let quoteId: Quote['id'] = null;
  try {
    const quiet = cli.json && flags.yes; // nobody would read a plan
    if (flags.plan || !quiet) {
      const quote = await client.jobs.quote(spec, { signal: interrupt });
      if (flags.plan) return await showPlan(cli, client, spec, quote);
      await printPlan(client, spec, quote, cli.terminal.talk);
      refuseUnaffordable(quote);
      quoteId = quote.id;
      if (!flags.yes) await askToSubmit(cli, quote, interrupt);
    }
    interrupt.throwIfAborted();
    job = await create(cli, client, spec, { quoteId, login }, interrupt);
  } catch (thrown) {
    if (thrown instanceof Interrupted) throw nothingSubmitted();
    throw thrown;
  }

  if (interrupt.aborted) return await leaveAtOnce(cli, client, job, flags);
  if (flags.detach) return announceSubmitted(cli, job);
  if (cli.json) await cli.streamJson({ event: 'submitted', ...job });
  else cli.say(`├ submitted  ${job.name}`);
  const result = await attach(cli, client, job, {
    events: true,
    output: true,
    raw: flags.raw,
    cancelOnInterrupt: flags.cancelOnInterrupt,
  });
  if (result.kind !== 'ended') return result.kind === 'detached' ? result.exitCode : exitCode('ok');
  const ended = await settledJob(client, job.id);
  const code = exitCodeForJob(ended, flags.exitCodeFromJob);
  if (cli.json) await cli.streamJson({ event: 'end', ...ended, cli_exit_code: code });
  else await printSummary(cli, client, ended);
  return code;
}

/** `--plan`: the plan is the data. */
async function showPlan(cli: Cli, client: Client, spec: JobSpec, quote: Quote): Promise<number> {
  const matches = quote.waiting === null;
  if (cli.json) {
    cli.printJson({ matches, ...quote });
    return exitCode(!matches ? 'noMatch' : quote.affordable ? 'ok' : 'money');
  }
  await printPlan(client, spec, quote, cli.terminal.out);
  refuseUnmatched(cli, spec, quote);
  refuseUnaffordable(quote);
  return exitCode('ok');
}

async function askToSubmit(cli: Cli, quote: Quote, interrupt: AbortSignal): Promise<void> {
  const matches = quote.waiting === null;
  await agree(cli, matches ? 'Submit?' : 'Submit it and let it wait?', matches, interrupt);
}

async function agree(cli: Cli, question: string, fallback: boolean, interrupt: AbortSignal): Promise<void> {
  if (await confirm(cli.terminal, question, fallback, interrupt)) return;
  throw new CliError({
    code: 'cli/declined',
    message: 'nothing was submitted: you answered no',
    plain: 'Nothing was submitted.',
    exit: 'declined',
    retry: 'never',
  });
}

/** How long to find out, after a Ctrl-C, whether the job was submitted, ms. */
const findOutMs = 10_000;

/**
 * Submits. A Ctrl-C while the request is on its way does not cut it: the answer, or the same request once
 * more under its idempotency key, tells whether there is a job, and the person is told the truth.
 */
async function create(
  cli: Cli,
  client: Client,
  spec: JobSpec,
  { quoteId, login }: { quoteId: Quote['id']; login: RegistryLogin | undefined },
  interrupt: AbortSignal,
): Promise<JobView> {
  const giveUp = new AbortController();
  const onInterrupt = () => {
    cli.say('Finding out whether the job was submitted… Ctrl-C again leaves at once.');
    setTimeout(() => giveUp.abort(new Interrupted('not known')), findOutMs).unref();
  };
  interrupt.addEventListener('abort', onInterrupt, { once: true });
  let mayExist = false;
  try {
    return await client.jobs.create(spec, {
      quote: quoteId ?? undefined,
      registryLogin: login,
      signal: giveUp.signal,
      onTryFailed: (error) => {
        mayExist ||= giveUp.signal.aborted || (error instanceof UnreachableError && !error.nothingSent);
      },
    });
  } catch (thrown) {
    if (mayExist && !(thrown instanceof ApiError && thrown.status < 500)) throw submitUnknown(cli, thrown);
    if (interrupt.aborted) throw nothingSubmitted();
    throw thrown;
  } finally {
    interrupt.removeEventListener('abort', onInterrupt);
  }
}

/** Ctrl-C came while the job was being submitted, and it was. */
async function leaveAtOnce(cli: Cli, client: Client, job: JobView, flags: SubmitFlags): Promise<number> {
  if (flags.cancelOnInterrupt) {
    const cancelled = await client.jobs.cancel(job.id);
    if (cli.json)
      await cli.streamJson({ event: 'cancelled', ...cancelled, cli_exit_code: exitCode('jobCancelled') });
    else cli.say(`${job.name} had been submitted already; it was asked to stop.`);
    return exitCode('jobCancelled');
  }
  if (cli.json) await detachedJson(cli, client, job);
  else {
    cli.say('The job had been submitted already.');
    await announceDetached(cli, client, job);
  }
  return exitCode('detached');
}

function announceSubmitted(cli: Cli, job: JobView): number {
  if (cli.json) {
    cli.printJson(job);
    return exitCode('ok');
  }
  cli.print(job.name);
  const lines = facts([
    ['follow it', `${cli.program} logs -f ${job.name}`],
    ['stop it', `${cli.program} cancel ${job.name}`],
  ]);
  for (const line of lines) cli.say(line);
  return exitCode('ok');
}

function confirmationNeeded(cli: Cli): CliError {
  return new CliError({
    code: 'cli/confirmation-needed',
    message: 'submitting costs money and you cannot be asked here; add --yes to agree',
    help: [
      `${cli.program} submit --yes …    submits without asking`,
      `${cli.program} submit --plan …   shows plan and price only`,
    ],
    exit: 'usage',
    retry: 'never',
  });
}

function nothingSubmitted(): CliError {
  return new CliError({
    code: 'cli/interrupted',
    message: 'stopped: nothing was submitted, nothing was charged',
    plain: 'Stopped. Nothing was submitted, nothing was charged.',
    exit: 'detached',
    retry: 'never',
  });
}

function submitUnknown(cli: Cli, cause: unknown): CliError {
  return new CliError({
    code: 'cli/submit-unknown',
    message: 'the connection broke; it is not known whether the job was submitted',
    facts: [['because', cause instanceof Error ? cause.message : String(cause)]],
    help: [
      `see whether it is there:   ${cli.program} status --all -n 5`,
      'submitting again could make a second job',
    ],
    exit: 'unreachable',
    retry: 'later',
    cause,
  });
}
