import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import type { CfabCommand } from '../help/cfab-command.ts';
import { errorCodeText, knownErrorCodes } from '../help/error-codes.ts';
import { referencePage } from '../help/reference.ts';
import { topics } from '../help/topics.ts';
import { nearest } from '@computefabric/protocol/grammar/similar';

/** `help`: a command, a topic, or an error code. */
export async function showHelp(cli: Cli, program: CfabCommand, words: readonly string[]): Promise<number> {
  const name = words.join(' ');
  const text = helpText(program, words)?.trimEnd();
  if (text === undefined) throw noSuchHelp(cli, program, name);
  if (cli.json) cli.printJson({ topic: name, text });
  else cli.print(text);
  return exitCode('ok');
}

function helpText(program: CfabCommand, words: readonly string[]): string | undefined {
  const name = words.join(' ');
  if (name === 'reference') return referencePage(program);
  const topic = topics.find((known) => known.name === name);
  if (topic) return [topic.title, '', ...topic.lines()].join('\n');
  if (knownErrorCodes.includes(name)) return errorCodeText(name).join('\n');
  return findCommand(program, words)?.helpInformation();
}

function findCommand(program: CfabCommand, words: readonly string[]): CfabCommand | undefined {
  let command: CfabCommand | undefined = program;
  for (const word of words) {
    command = command?.commands.find((sub) => sub.name() === word) as CfabCommand | undefined;
  }
  return command;
}

function noSuchHelp(cli: Cli, program: CfabCommand, name: string) {
  const known = [
    ...program.commands.map((command) => command.name()),
    ...topics.map((topic) => topic.name),
    ...knownErrorCodes,
  ];
  const similar = nearest(name, known);
  return usageError(
    `there is no help on "${name}"`,
    similar ? `a similar topic exists: ${similar}` : `see commands and topics:   ${cli.program} --help`,
  );
}
