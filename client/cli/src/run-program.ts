import { CommanderError } from 'commander';
import type { Cli, GlobalFlags } from './cli.ts';
import { CliError, usageError } from './errors/cli-error.ts';
import { errorJson, printError } from './errors/print-error.ts';
import { exitCode } from './exit-codes.ts';
import { overview } from './help/overview.ts';
import type { Interrupts } from './interrupts.ts';
import { buildProgram } from './program.ts';
import type { Environment } from './settings/environment.ts';
import { ReaderGone, type Terminal } from './terminal/terminal.ts';

export interface Invocation {
  argv: readonly string[];
  /** `--json` stands before any `--`; known before the command line is understood, for errors in it. */
  wantsJson: boolean;
  environment: Environment;
  terminal: Terminal;
  interrupts: Interrupts;
}

/** Runs one command line and gives the exit code. */
export async function runProgram(invocation: Invocation): Promise<number> {
  const { argv, environment, terminal, interrupts, wantsJson } = invocation;
  if (argv.length === 0) {
    for (const line of overview(environment.program)) terminal.out.line(line);
    return exitCode('ok');
  }
  let code = exitCode('ok');
  const run = async (flags: GlobalFlags, work: (cli: Cli) => Promise<number>) => {
    const cliModule = await import('./cli.ts');
    code = await work(new cliModule.Cli(terminal, interrupts, environment, flags));
  };
  const program = buildProgram({ run, argv, writeOut: (text) => terminal.out.raw(text) });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitCode('ok'); // help, version
    if (thrown instanceof ReaderGone) return exitCode('ok'); // as "head" has it: it has seen enough
    const error = await asCliError(thrown, environment.program, argv);
    if (wantsJson) terminal.talk.raw(`${errorJson(error)}\n`);
    else printError(terminal.talk, error, environment.program);
    if (argv.includes('--debug') && !wantsJson) printCauses(terminal, thrown);
    return error.exitCode;
  }
}

async function asCliError(thrown: unknown, program: string, argv: readonly string[]): Promise<CliError> {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof CommanderError) return usageOf(thrown, program, argv);
  const { describeError } = await import('./errors/describe-error.ts');
  return describeError(thrown, program);
}

/** Commander's complaint in our form. */
function usageOf(error: CommanderError, program: string, argv: readonly string[]): CliError {
  const words = argv.filter((word) => !word.startsWith('-')).slice(0, 1);
  const help = `see how:   ${[program, ...words, '--help'].join(' ')}`;
  if (error.code === 'commander.help') {
    return usageError(
      words.length > 0 ? `${program} ${words[0]} needs a command` : 'a command is missing',
      help,
    );
  }
  const message = error.message.replace(/^error: /, '').replace(/\.$/, '');
  if (error.code === 'commander.missingArgument' && argv.includes('--download')) {
    return usageError(message, 'put JOB before --download, which takes the next word as its folder', help);
  }
  return usageError(message, help);
}

function printCauses(terminal: Terminal, thrown: unknown): void {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    terminal.talk.line(terminal.talk.style.dim(`debug: ${error.stack ?? error.message}`));
  }
}
