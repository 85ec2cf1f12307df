import { Option } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import type { Cli, GlobalFlags } from './cli.ts';
import type { ArtifactsFlags } from './commands/artifacts.ts';
import type { BudgetFlags, JobLimitFlags } from './commands/budgets.ts';
import type { ResumeFlags } from './commands/resume.ts';
import type { CheckpointsFlags } from './commands/checkpoints.ts';
import type { DecideFlags, DisputeFlags, DisputeListFlags } from './commands/disputes.ts';
import type { StatementFlags } from './commands/earnings.ts';
import type { InitFlags } from './commands/init.ts';
import type { ReceiptFlags } from './commands/receipt.ts';
import type { LogsFlags } from './commands/logs.ts';
import type { OffersFlags } from './commands/offers.ts';
import type { StatusFlags } from './commands/status.ts';
import type { ScheduleFlags } from './commands/schedules.ts';
import type { SubmitFlags } from './commands/submit.ts';
import type { WaitFlags } from './commands/wait.ts';
import { CfabCommand, formatHelp } from './help/cfab-command.ts';
import { addShapeFlags, addSpecFlags } from './help/submit-flags.ts';

/** Runs what a command does, with everything that it works with; the number is the program's exit code. */
export type RunCommand = (flags: GlobalFlags, work: (cli: Cli) => Promise<number>) => Promise<void>;

const jobArgument = 'name or id of a job, or the beginning of one; sweep/3 is a member of a group';
const targetArgument = `${jobArgument}, sweep all of it`;

export interface ProgramOptions {
  run: RunCommand;
  /** Takes help and version. */
  writeOut: (text: string) => void;
  /** The command line, to see whether the command of a job stands after `--`. */
  argv: readonly string[];
}

/** The commands and their flags. What they do is loaded when one is run, so that help does not wait for it. */
export function buildProgram({ run, writeOut, argv }: ProgramOptions): CfabCommand {
  const program = new CfabCommand('cfab')
    .description('Runs containers on GPUs of other people, by the second.')
    .configureHelp({ showGlobalOptions: true, formatHelp })
    .configureOutput({ writeOut, writeErr: () => {} }) // errors are written by run-program.ts, in our own form
    .exitOverride()
    .showSuggestionAfterError(false)
    .helpCommand(false)
    .helpOption('-h, --help', 'show this help')
    .version(packageJson.version, '-V, --version', 'show the version')
    .addOption(new Option('--json', 'machine-readable output: JSON on stdout, errors as JSON on stderr'))
    .addOption(new Option('--url <address>', 'address of the server, over COMPUTEFABRIC_URL and the file'))
    .addOption(
      new Option('--no-color', 'no colours; so does NO_COLOR, TERM=dumb, or output that is no terminal'),
    )
    .addOption(new Option('--no-input', 'never ask a question'))
    .addOption(new Option('--debug', 'show requests, and where an unexpected error came from'));
  program.example(
    [
      "cfab submit --image pytorch/pytorch:latest --gpus 1 --command 'python train.py'",
      'run a job and see its output',
    ],
    ['cfab status', 'what runs and what waits'],
    ['cfab logs -f mnist-7k2', 'come back to a job'],
  );

  addSubmit(program, run, argv);
  addInit(program, run);
  addJobCommands(program, run);
  addScheduleCommands(program, run, argv);
  addMarketCommands(program, run);
  addAccountCommands(program, run);
  addBillingCommands(program, run);
  addEarningsCommands(program, run);
  addHelp(program, run);
  return program;
}

function addSubmit(program: CfabCommand, run: RunCommand, argv: readonly string[]): void {
  const submit = program
    .command('submit')
    .description('Submit a job: shows plan and price, asks, then follows it to its end.')
    .example(
      [
        "cfab submit --image pytorch/pytorch:latest --gpus 1 --command 'python train.py'",
        'a line for a shell',
      ],
      [
        'cfab submit --image python:3.12 --gpu "RTX 4090|A10" --vram 24GB -- python -c "print(1)"',
        'exact arguments',
      ],
      [
        "cfab submit --yes --detach --json --image busybox --command 'sleep 60'",
        'from a script: one JSON object',
      ],
      ['cfab submit -f computefabric.yaml --priority 80', 'a job from a file; flags win over it'],
      [
        'cfab submit --plan --gpus 2 --vram 80GB --image busybox',
        'would it find a machine, and at what price',
      ],
    )
    .argument('[argv...]', 'after --: the exact command, given to the image');
  addSpecFlags(submit);
  addShapeFlags(submit);
  submit
    .optionsGroup('How to submit')
    .option('-y, --yes', 'agree to the price without being asked')
    .option('--registry-user <name>', 'for a private image: who pulls it; kept sealed until the job ends')
    .option(
      '--registry-password-file <file>',
      'file with the password or token of that user; - reads it from stdin',
    )
    .option('-d, --detach', 'submit and leave; prints the name of the job alone')
    .option('--plan', 'show plan and price only: exit code 0 when a machine is free, 5 when not')
    .option('--exit-code-from-job', "end with the exit code of the job's program")
    .option('--cancel-on-interrupt', 'Ctrl-C cancels the job instead of leaving it running')
    .option('--raw', 'on a terminal: show output unfiltered, with all its escape sequences')
    .action(async (operands: string[], flags: SubmitFlags, command: CfabCommand) => {
      if (operands.length > 0 && !argv.includes('--')) {
        const { usageError } = await import('./errors/cli-error.ts');
        throw usageError(
          `"${operands[0]}" is not a flag of submit`,
          'put -- before the command:   cfab submit --image IMAGE -- COMMAND ARGUMENTS',
          "or give a line for a shell:  cfab submit --image IMAGE --command 'COMMAND ARGUMENTS'",
        );
      }
      await run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/submit.ts')).submitJob(cli, operands, flags),
      );
    });
}

function addInit(program: CfabCommand, run: RunCommand): void {
  program
    .command('init')
    .description('Write a computefabric.yaml to begin with, with every key explained.')
    .example(
      ['cfab init', 'then change it, and: cfab submit'],
      ['cfab init --image python:3.12', 'with this image'],
    )
    .option('--image <image>', 'container image to write into it (default: busybox:latest)')
    .option('--force', 'write over a file that is there')
    .option('--schema', 'print the JSON schema of the file, for editors, and write nothing')
    .action((flags: InitFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/init.ts')).initJobFile(cli, flags),
      ),
    );
}

function addJobCommands(program: CfabCommand, run: RunCommand): void {
  program
    .command('status')
    .description('Your unfinished jobs and the last one that ended; with JOB, all about one.')
    .example(
      ['cfab status', 'unfinished jobs and the last finished one'],
      ['cfab status mnist-7k2', 'one job: why it waits, what it cost, each try'],
      ['cfab status --state failed --since 24h', 'what failed today'],
      ['cfab status --watch', 'keep looking'],
    )
    .argument('[job]', targetArgument)
    .option('-a, --all', 'all jobs, newest first (50 unless -n says more)')
    .option('-n, --number <count>', 'this many jobs, newest first')
    .option('--since <when>', 'submitted since: 24h, 30m, or 2026-03-01T12:00:00Z')
    .option('--state <states>', 'only these states, separated by commas')
    .option('-w, --watch', 'look again every 2 s; without a terminal, print what has changed')
    .option('--exit-status', 'with JOB: end with the exit code of its state (see: cfab help exit-codes)')
    .action((job: string | undefined, flags: StatusFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/status.ts')).showStatus(cli, job, flags),
      ),
    );

  program
    .command('logs')
    .description('Output of a job: its stdout on stdout, its stderr on stderr.')
    .example(
      ['cfab logs -f mnist-7k2', 'follow it to the end; Ctrl-C leaves it running'],
      ['cfab logs --tail 100 mnist-7k2', 'the last 100 lines'],
      ['cfab logs mnist-7k2 > out.txt', 'the exact bytes'],
    )
    .argument('<job>', jobArgument)
    .option('-f, --follow', 'go on until the job has ended; survives network loss')
    .option('--tail <lines>', 'only the last lines, both streams together')
    .option('--since <when>', 'only from then on: 10m, or 2026-03-01T12:00:00Z')
    .option('-t, --timestamps', 'the time (UTC) before each line')
    .option('--attempt <number>', 'only this try, counted from 1 (default: all)')
    .option('--raw', 'on a terminal: show output unfiltered, with all its escape sequences')
    .action((job: string, flags: LogsFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/logs.ts')).showLogs(cli, job, flags),
      ),
    );

  program
    .command('wait')
    .description('Wait until a job has ended and its bill is settled; the exit code tells how it ended.')
    .example(
      ['cfab wait mnist-7k2', 'exit code 0 when it succeeded, 100 when it failed'],
      ['cfab wait --for running --timeout 30m mnist-7k2', 'exit code 124 when that takes longer'],
      ['cfab wait --json mnist-7k2', 'the whole job as JSON at the end'],
    )
    .argument('<job>', targetArgument)
    .option('--for <state>', 'running or done (default: done)', 'done')
    .option('--timeout <duration>', 'give up after this long, with exit code 124')
    .option('--exit-code-from-job', "end with the exit code of the job's program")
    .action((job: string, flags: WaitFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/wait.ts')).waitForJob(cli, job, flags),
      ),
    );

  program
    .command('cancel')
    .description('Ask a job to stop. What it ran until then is billed.')
    .example(
      ['cfab cancel mnist-7k2', 'ask it to stop'],
      ['cfab cancel --wait mnist-7k2', 'and wait until it has'],
    )
    .argument('<job>', targetArgument)
    .option('--wait', 'return when the job has ended')
    .action((job: string, flags: { wait?: boolean }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/cancel.ts')).cancelJob(cli, job, flags),
      ),
    );

  program
    .command('resume')
    .description(
      'Let a job that its limit or a budget has stopped go on: as a new job that begins with its last saved state.',
    )
    .example(
      ['cfab resume mnist-7k2 --max-cost 5', 'until all in all it has cost $5'],
      ['cfab resume mnist-7k2', 'after its budget was raised'],
    )
    .argument('<job>', jobArgument)
    .option('--max-cost <usd>', 'the raised limit, what it has cost already included, such as 5, or none')
    .option('--on-limit <way>', 'checkpoint or stop (default: as before)')
    .action((job: string, flags: ResumeFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/resume.ts')).resumeJob(cli, job, flags),
      ),
    );

  program
    .command('artifacts')
    .description(
      'Result files of a job: what its program wrote to /outputs. Lists them unless told otherwise.',
    )
    .example(
      ['cfab artifacts mnist-7k2', 'list'],
      ['cfab artifacts mnist-7k2 --download', 'into ./mnist-7k2/'],
      ['cfab artifacts mnist-7k2 --download results', 'into ./results/'],
      ['cfab artifacts mnist-7k2 --cat model.json', 'one file to stdout'],
    )
    .argument('<job>', targetArgument)
    .option(
      '--download [dir]',
      'download them into DIR, or into a folder named as the job; hashes are checked,\n' +
        'files that are there already are kept, other files of that name are not overwritten',
    )
    .option('--force', 'with --download: overwrite files that differ')
    .option('--attempt <number>', 'files of this try, counted from 1 (default: the last try that has files)')
    .option('--cat <path>', 'write one file to stdout')
    .action((job: string, flags: ArtifactsFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/artifacts.ts')).showArtifacts(cli, job, flags),
      ),
    );

  program
    .command('checkpoints')
    .description('State of a job that is kept for its next try: when it was taken, and how large it is.')
    .example(
      ['cfab checkpoints mnist-7k2', 'what a move to another machine would go on from'],
      ['cfab checkpoints mnist-7k2 --files', 'the files in the newest one'],
      ['cfab checkpoints mnist-7k2 --download', 'into ./mnist-7k2-state/'],
    )
    .argument('<job>', jobArgument)
    .option('--files', 'list the files of the newest one')
    .option(
      '--download [dir]',
      'download the newest one into DIR, or into a folder named as the job; hashes are checked',
    )
    .option('--force', 'with --download: overwrite files that are there')
    .action((job: string, flags: CheckpointsFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/checkpoints.ts')).showCheckpoints(cli, job, flags),
      ),
    );

  program
    .command('receipt')
    .description(
      'The signed receipt of an ended job, or one bill for a group: tries, seconds, price, refunds, hashes.',
    )
    .example(
      ['cfab receipt mnist-7k2', 'what it cost and why'],
      ['cfab receipt mnist-7k2 --verify', 'check signature, sums and metering on this machine'],
      ['cfab receipt mnist-7k2 --save receipt.json', 'keep it'],
      ['cfab receipt --file receipt.json --verify --keys keys.json', 'check it without any network'],
    )
    .argument('[job]', targetArgument)
    .option('--verify', 'check it; exits with 1 and names what was changed when it does not stand')
    .option('--file <path>', 'a receipt that was saved, instead of asking the market')
    .option(
      '--keys <path>',
      "the market's public keys, as GET /v1/keys gives them (default: those that it showed\n" +
        'at the first receipt, and keys that one of them vouches for)',
    )
    .option('--save <path>', 'write it to a file')
    .action((job: string | undefined, flags: ReceiptFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/receipt.ts')).showReceipt(cli, job, flags),
      ),
    );

  program
    .command('dispute')
    .description(
      'Contest an ended job that was paid for. Clear cases decide themselves, the operator the others.',
    )
    .example([
      'cfab dispute mnist-7k2 --reason wrong-result --message "NaN from the first step on"',
      'ask for the money back',
    ])
    .argument('<job>', jobArgument)
    .requiredOption(
      '--reason <reason>',
      'wrong-result, damaged-result, machine-failed, too-slow, wrong-bill or other',
    )
    .requiredOption('--message <text>', 'what was wrong, for whoever decides')
    .action((job: string, flags: DisputeFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/disputes.ts')).openDispute(cli, job, flags),
      ),
    );

  const disputes = program
    .command('disputes')
    .description('Contested jobs: yours, about your machines, or, for the operator, all.')
    .example(
      ['cfab disputes list', 'of your jobs'],
      ['cfab disputes list --as owner', 'about your machines'],
    );
  disputes
    .command('list')
    .description('Contested jobs, newest first, with what was decided and why.')
    .example(['cfab disputes list --as operator --state open', 'what waits for a decision'])
    .option('--as <side>', 'renter (default), owner or operator')
    .option('--state <state>', 'open, granted or denied')
    .action((flags: DisputeListFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/disputes.ts')).listDisputes(cli, flags),
      ),
    );
  disputes
    .command('decide')
    .description('Decide about a contested job; the operator alone. What was given back stays given.')
    .example([
      'cfab disputes decide disp_01… --grant --because "The card was broken."',
      'give all of it back',
    ])
    .argument('<dispute>', 'id of the dispute')
    .option('--grant', 'give the money back')
    .option('--deny', 'do not')
    .option('--because <text>', 'why; both sides read it')
    .option('--blame <who>', 'who pays it: provider (default) or platform')
    .option('--refund <usd>', 'give back less than all that the job cost')
    .action((dispute: string, flags: DecideFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/disputes.ts')).decideDispute(cli, dispute, flags),
      ),
    );

  program
    .command('explain')
    .description('Why a job waits: each rule, how many machines fail it, and what would change it.')
    .example(
      ['cfab explain mnist-7k2', 'why it has no machine yet'],
      ['cfab explain sweep', 'the first of a group that waits'],
    )
    .argument('<job>', targetArgument)
    .action((job: string, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/explain.ts')).explainJob(cli, job),
      ),
    );
}

function addScheduleCommands(program: CfabCommand, run: RunCommand, argv: readonly string[]): void {
  const schedule = program
    .command('schedule')
    .description('Jobs that are submitted again and again, by a cron line.')
    .example(['cfab schedule list', 'what fires when']);
  const create = schedule
    .command('create')
    .description('Submit a job at each time of a cron line, from now on.')
    .example(
      [
        `cfab schedule create nightly --cron '30 3 * * *' --timezone Europe/Berlin --image busybox --command 'date'`,
        'each night',
      ],
      [`cfab schedule create hourly --cron '0 * * * *' -f computefabric.yaml`, 'the job of a file'],
    )
    .argument('<name>', 'its name; those of its jobs begin with it')
    .argument('[argv...]', 'after --: the exact command, given to the image')
    .option('--cron <line>', 'five fields: minute, hour, day of month, month, day of week')
    .option('--timezone <zone>', 'time zone of the fields, such as Europe/Berlin (default: UTC)')
    .option(
      '--overlap <rule>',
      'skip a time while the job of the time before has not ended, or allow (default: skip)',
    );
  addSpecFlags(create);
  create.action(async (name: string, operands: string[], flags: ScheduleFlags, command: CfabCommand) => {
    if (operands.length > 0 && !argv.includes('--')) {
      const { usageError } = await import('./errors/cli-error.ts');
      throw usageError(`"${operands[0]}" is not a flag of schedule create`, 'put -- before the command');
    }
    await run(command.optsWithGlobals(), async (cli) =>
      (await import('./commands/schedules.ts')).createSchedule(cli, name, operands, flags),
    );
  });
  schedule
    .command('list')
    .description('Your schedules: when each fires next and what it did last.')
    .example(['cfab schedule list', 'what fires when'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/schedules.ts')).listSchedules(cli),
      ),
    );
  schedule
    .command('runs')
    .description('The times at which a schedule fired, newest first, and what became of each.')
    .example(['cfab schedule runs nightly', 'the last 20'])
    .argument('<name>', 'name or id of a schedule')
    .option('-n, --number <count>', 'this many (default: 20)')
    .action((name: string, flags: { number?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/schedules.ts')).listFirings(cli, name, flags),
      ),
    );
  schedule
    .command('pause')
    .description('Stop a schedule from firing. Jobs that it submitted go on.')
    .example(['cfab schedule pause nightly', 'until it is resumed'])
    .argument('<name>', 'name or id of a schedule')
    .action((name: string, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/schedules.ts')).changeSchedule(cli, name, 'paused'),
      ),
    );
  schedule
    .command('resume')
    .description('Let a paused schedule fire again, from its next time on.')
    .example(['cfab schedule resume nightly', 'times of the pause are not made up for'])
    .argument('<name>', 'name or id of a schedule')
    .action((name: string, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/schedules.ts')).changeSchedule(cli, name, 'active'),
      ),
    );
  schedule
    .command('delete')
    .description('Remove a schedule. The jobs that it submitted stay.')
    .example(['cfab schedule delete nightly', 'for good'])
    .argument('<name>', 'name or id of a schedule')
    .action((name: string, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/schedules.ts')).deleteSchedule(cli, name),
      ),
    );
}

function addMarketCommands(program: CfabCommand, run: RunCommand): void {
  program
    .command('offers')
    .description('Machines on the market, with what is free and what it costs.')
    .example(['cfab offers', 'all of them'], ['cfab offers --gpus 2 --vram 24GB', 'two free GPUs of 24 GB'])
    .option('--gpus <count>', 'at least this many free GPUs')
    .option('--gpu <model>', 'this model')
    .option('--vram <size>', 'memory of each GPU, such as 24GB')
    .action((flags: OffersFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/offers.ts')).listOffers(cli, flags),
      ),
    );

  const machine = program
    .command('machine')
    .description('Your own machines on the market.')
    .example(['cfab machine list', 'what they do and earn']);
  machine
    .command('list')
    .description('Your machines: state, GPUs, jobs, earnings.')
    .example(['cfab machine list', 'what they do and earn'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/machines.ts')).listMachines(cli),
      ),
    );
  machine
    .command('token')
    .description('Make a token with which one machine can join, once. It alone is written to stdout.')
    .example(
      ['cfab machine token', 'valid for 15 minutes'],
      ['cfab machine token --expires 10m --json', 'as {token, expires_at}'],
    )
    .option('--expires <duration>', 'valid for this long, 1m to 24h (default: 15m)')
    .action((flags: { expires?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/machines.ts')).createJoinToken(cli, flags),
      ),
    );
  machine
    .command('tier')
    .description('For the operator of the market: how far you vouch for any machine.')
    .example(['cfab machine tier prov_01kb3q verified', 'jobs that ask for a verified machine may use it'])
    .argument('<machine>', 'id of the machine')
    .argument('<tier>', 'community, verified or trusted')
    .action((id: string, tier: string, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/machine-tier.ts')).setMachineTier(cli, id, tier),
      ),
    );
  addAvailabilityCommands(machine, run);
}

/** What an owner wants of a machine. */
function addAvailabilityCommands(machine: CfabCommand, run: RunCommand): void {
  const load = () => import('./commands/machine-availability.ts');
  machine
    .command('show')
    .description('One of your machines: what it does, whether it takes work, its record.')
    .example(['cfab machine show cobalt-otter', 'by name or id'])
    .argument('<machine>', 'name or id')
    .action((name: string, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).showMachine(cli, name)),
    );
  machine
    .command('tries')
    .description(
      'What one of your machines was given: how each try ended, what it earned, what it says in its record.',
    )
    .example(
      ['cfab machine tries cobalt-otter', 'the last 20'],
      ['cfab machine tries cobalt-otter -n 200', 'more'],
    )
    .argument('<machine>', 'name or id')
    .option('-n, --number <count>', 'this many (default: 20)')
    .action((name: string, flags: { number?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/machine-tries.ts')).listMachineTries(cli, name, flags),
      ),
    );
  machine
    .command('pause')
    .description('Give a machine no new work. What runs on it goes on.')
    .example(
      ['cfab machine pause cobalt-otter', 'until you resume it'],
      ['cfab machine pause cobalt-otter --for 2h', 'and then it takes work again by itself'],
    )
    .argument('<machine>', 'name or id')
    .option('--for <duration>', 'take work again by itself after this long')
    .option('--reason <text>', 'shown beside its state')
    .action((name: string, flags: { for?: string; reason?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).pauseMachine(cli, name, flags)),
    );
  machine
    .command('drain')
    .description('Give a machine no new work, and empty it: what still runs after a while moves, free.')
    .example(
      ['cfab machine drain cobalt-otter --within 30m', 'jobs may end by themselves for half an hour'],
      ['cfab machine drain cobalt-otter --within 0s', 'move everything now'],
    )
    .argument('<machine>', 'name or id')
    .option('--within <duration>', 'jobs may end by themselves for this long (default: 1h)')
    .option('--reason <text>', 'shown beside its state')
    .action((name: string, flags: { within?: string; reason?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).drainMachine(cli, name, flags)),
    );
  machine
    .command('resume')
    .description('Give a paused or drained machine work again.')
    .example(['cfab machine resume cobalt-otter', 'by name or id'])
    .argument('<machine>', 'name or id')
    .action((name: string, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).resumeMachine(cli, name)),
    );
  machine
    .command('maintenance')
    .description(
      'Plan an absence: jobs that must end before it, or keep a checkpoint, are placed; what still runs then moves.',
    )
    .example(
      ['cfab machine maintenance cobalt-otter --from 2h --until 5h', 'counted from now'],
      ['cfab machine maintenance cobalt-otter --cancel', 'take it back'],
    )
    .argument('<machine>', 'name or id')
    .option('--from <when>', 'when it begins: a duration from now, or a timestamp')
    .option('--until <when>', 'when the machine is back')
    .option('--cancel', 'take the planned absence back')
    .option('--reason <text>', 'shown beside its state')
    .action(
      (
        name: string,
        flags: { from?: string; until?: string; cancel?: boolean; reason?: string },
        command: CfabCommand,
      ) => run(command.optsWithGlobals(), async (cli) => (await load()).planMaintenance(cli, name, flags)),
    );
}

function addAccountCommands(program: CfabCommand, run: RunCommand): void {
  program
    .command('login')
    .description('Store an API key for a server in your configuration file, readable by you alone.')
    .example(
      ['cfab login --with-token < key-file', 'from a file'],
      ['cfab login --with-token', 'typed, not shown'],
    )
    .option('--with-token', 'read the key from standard input')
    .action((flags: { withToken?: boolean }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await import('./commands/login.ts')).login(cli, flags)),
    );
  program
    .command('whoami')
    .description('Server, person, key and balance in force.')
    .example(['cfab whoami', 'who you are here'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await import('./commands/whoami.ts')).whoAmI(cli)),
    );
  program
    .command('balance')
    .description('Your money: available, held for unfinished jobs, earned by your machines.')
    .example(['cfab balance', 'what is there'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await import('./commands/balance.ts')).showBalance(cli)),
    );
  const budget = program
    .command('budget')
    .description('Limits on what you spend: of the account, of an API key, of one job.')
    .example(
      ['cfab budget list', 'what is used of each, and its warnings'],
      ['cfab budget set 20', 'at most $20 in a month'],
      ['cfab budget job mnist-7k2 --max-cost 0.50', 'let one job cost more'],
    );
  budget
    .command('list')
    .description('Your budgets, what is used of them, and what you were told about them.')
    .example(['cfab budget list', 'all of them'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await import('./commands/budgets.ts')).listBudgets(cli)),
    );
  budget
    .command('set')
    .description('Set a budget, or change it. Warnings come at 50, 80 and 100 %.')
    .example(
      ['cfab budget set 20', 'new jobs are refused where they could pass $20 in a month'],
      [
        'cfab budget set 5 --key key_01kb3q --on-limit also-stop-running',
        'for one key; running jobs are stopped, too',
      ],
    )
    .argument('<usd>', 'the amount, such as 20 or 0.50')
    .option('--key <id>', 'for what this API key submits alone')
    .option('--period <period>', 'month (a calendar month, UTC) or total (default: month)')
    .option('--on-limit <choice>', 'stop-new, or also-stop-running (default: stop-new)')
    .action((usd: string, flags: BudgetFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/budgets.ts')).setBudget(cli, usd, flags),
      ),
    );
  budget
    .command('remove')
    .description('Remove a budget. Jobs that it kept waiting are queued.')
    .example(['cfab budget remove budget_01kb3q', 'no limit any more'])
    .argument('<budget>', 'its id')
    .action((id: string, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/budgets.ts')).removeBudget(cli, id),
      ),
    );
  budget
    .command('job')
    .description('Change what a job that has not ended may cost.')
    .example(
      ['cfab budget job mnist-7k2 --max-cost 0.50', 'more is reserved, and it goes on'],
      ['cfab budget job mnist-7k2 --max-cost none', 'as much as prices and time limit allow'],
    )
    .argument('<job>', jobArgument)
    .requiredOption('--max-cost <usd>', 'the new limit, such as 0.50, or none')
    .option('--on-limit <way>', 'checkpoint or stop')
    .action((job: string, flags: JobLimitFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/budgets.ts')).setJobLimit(cli, job, flags),
      ),
    );
  const config = program
    .command('config')
    .description('Settings of this program.')
    .example(['cfab config list', 'each setting and where it comes from']);
  config
    .command('list')
    .description('Each setting, its value and where it comes from. The key is never shown.')
    .example(['cfab config list', 'which server, which key'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/config-list.ts')).listConfig(cli),
      ),
    );
}

function addBillingCommands(program: CfabCommand, run: RunCommand): void {
  const load = () => import('./commands/billing.ts');
  const billing = program
    .command('billing')
    .description('How you pay: balance, cards, top-ups, money back.')
    .example(['cfab billing', 'what is there and what is open'], ['cfab billing top-up 20', 'pay in'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).showBilling(cli)),
    );
  billing
    .command('top-up')
    .description('Pay money in: prints the page to pay on.')
    .example(
      ['cfab billing top-up 20', 'the page to pay 20 USD on'],
      ['cfab billing top-up 20 --save-card --wait', 'keep the card, and wait until it is paid'],
    )
    .argument('<amount>', 'USD, such as 20 or 12.50; at least 0.50')
    .option('--save-card', 'keep the card for automatic top-ups')
    .option('--wait', 'wait until it is paid')
    .action((amount: string, flags: { saveCard?: boolean; wait?: boolean }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).topUp(cli, amount, flags)),
    );
  const cards = billing
    .command('cards')
    .description('Your saved cards. Their numbers are known to the payment provider alone.')
    .example(['cfab billing cards', 'which cards are saved'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).listCards(cli)),
    );
  cards
    .command('add')
    .description('Save a card: prints the page to do it on.')
    .example(['cfab billing cards add', 'the page'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).addCard(cli)),
    );
  cards
    .command('remove')
    .description('Forget a card.')
    .example(['cfab billing cards remove pm_1PqX', 'by the id that the list shows'])
    .argument('<card>', 'id of the card')
    .action((card: string, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).removeCard(cli, card)),
    );
  billing
    .command('auto-top-up')
    .description('Top up by itself when the balance falls below a threshold; without flags, what is set.')
    .example(
      ['cfab billing auto-top-up --below 5 --amount 20 --monthly 100', 'switch it on'],
      ['cfab billing auto-top-up --off', 'switch it off'],
    )
    .option('--below <amount>', 'threshold, USD')
    .option('--amount <amount>', 'what the card is charged each time, USD')
    .option('--monthly <amount>', 'never more than this in a calendar month, USD')
    .option('--off', 'switch it off')
    .action(
      (flags: { below?: string; amount?: string; monthly?: string; off?: boolean }, command: CfabCommand) =>
        run(command.optsWithGlobals(), async (cli) => (await load()).autoTopUp(cli, flags)),
    );
  billing
    .command('refund')
    .description('Give unspent money back to the cards that it came from; without an amount, all of it.')
    .example(['cfab billing refund 5', '5 USD'], ['cfab billing refund', 'all that can go back'])
    .argument('[amount]', 'USD')
    .action((amount: string | undefined, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).refund(cli, amount)),
    );
  billing
    .command('pay')
    .description('Try again what your card was refused for.')
    .example(['cfab billing pay', 'after you have saved another card'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).payOwed(cli)),
    );
}

function addEarningsCommands(program: CfabCommand, run: RunCommand): void {
  const load = () => import('./commands/payouts.ts');
  const earnings = program
    .command('earnings')
    .description('What your machines have earned, and where it is.')
    .example(
      ['cfab earnings', 'earned, held, payable, paid out'],
      ['cfab earnings statement --month 2026-11 --csv --save november.csv', 'for your books'],
    )
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/earnings.ts')).showEarnings(cli),
      ),
    );
  earnings
    .command('statement')
    .description(
      'All that was earned, taken back and paid out in a month or on a day (UTC); this month without flags.',
    )
    .example(
      ['cfab earnings statement --month 2026-11', 'a month'],
      ['cfab earnings statement --day 2026-11-23 --csv', 'a day, for a spreadsheet'],
    )
    .option('--month <month>', 'such as 2026-11')
    .option('--day <day>', 'such as 2026-11-23')
    .option('--csv', 'comma-separated values, amounts in USD with all six decimals')
    .option('--save <path>', 'write it to a file')
    .action((flags: StatementFlags, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/earnings.ts')).showStatement(cli, flags),
      ),
    );

  const payouts = program
    .command('payouts')
    .description('How earnings are paid out: to you, or, for the operator, to all owners.')
    .example(
      ['cfab payouts setup --country DE', 'say where your money goes'],
      ['cfab payouts list', 'what was paid'],
    );
  payouts
    .command('list')
    .description('Payouts, newest first, with what became of each.')
    .example(['cfab payouts list --as operator --state failed', 'what was refused'])
    .option('--as <side>', 'owner (default) or operator')
    .option('--state <state>', 'created, sending, sent, paid, failed or reversed')
    .action((flags: { as?: string; state?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).listPayouts(cli, flags)),
    );
  payouts
    .command('setup')
    .description("Print the payment provider's page on which you say who you are and where your money goes.")
    .example(['cfab payouts setup --country DE', 'the page'])
    .option('--country <code>', 'where you live, two letters; US without. Counts the first time')
    .action((flags: { country?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).setUpPayouts(cli, flags)),
    );
  payouts
    .command('schedule')
    .description('When earnings are paid out by themselves: daily, weekly (Mondays) or manual, at 00:00 UTC.')
    .example(
      ['cfab payouts schedule', 'what is set'],
      ['cfab payouts schedule daily --minimum 25', 'each day, from 25 USD on'],
    )
    .argument('[schedule]', 'daily, weekly or manual')
    .option('--minimum <amount>', 'less than this waits, USD')
    .action((schedule: string | undefined, flags: { minimum?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).schedulePayouts(cli, schedule, flags)),
    );
  payouts
    .command('request')
    .description('Have paid out now what may be; without an amount, all of it.')
    .example(['cfab payouts request', 'all'], ['cfab payouts request 25', '25 USD'])
    .argument('[amount]', 'USD')
    .action((amount: string | undefined, _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).requestPayout(cli, amount)),
    );
  payouts
    .command('owed')
    .description('For the operator of the market: what it owes its owners.')
    .example(['cfab payouts owed', 'whom to pay'])
    .action((_flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).listOwed(cli)),
    );
  payouts
    .command('record')
    .description('For the operator of the market: write down a payout that you have made by other means.')
    .example([
      'cfab payouts record owner@example.com 42.50 --reference "SEPA 2026-11-24, no. 118"',
      'it leaves what may be paid out',
    ])
    .argument('<owner>', 'email or id')
    .argument('<amount>', 'USD')
    .requiredOption('--reference <text>', 'how it was paid; the owner reads it')
    .action((to: string, amount: string, flags: { reference?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).recordPayout(cli, to, amount, flags)),
    );
  payouts
    .command('correct')
    .description('For the operator of the market: take a payout back that was written down by mistake.')
    .example([
      'cfab payouts correct payout_01… --because "paid to somebody else"',
      'it may be paid out again',
    ])
    .argument('<payout>', 'id of the payout')
    .requiredOption('--because <text>', 'why; the owner reads it')
    .action((id: string, flags: { because?: string }, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) => (await load()).correctPayout(cli, id, flags)),
    );
}

function addHelp(program: CfabCommand, run: RunCommand): void {
  program
    .command('help')
    .description(
      'Help for a command, a topic (environment, exit-codes, states, job-file, billing, errors) or an error code.',
    )
    .example(
      ['cfab help submit', 'the same as: cfab submit --help'],
      ['cfab help exit-codes', 'what the exit codes mean'],
      ['cfab help job/not-found', 'what an error means'],
      ['cfab help reference', 'all of it as one Markdown page'],
    )
    .argument('[topic...]', 'a command, a topic or an error code')
    .action((words: string[], _flags: object, command: CfabCommand) =>
      run(command.optsWithGlobals(), async (cli) =>
        (await import('./commands/help.ts')).showHelp(cli, program, words),
      ),
    );
}
