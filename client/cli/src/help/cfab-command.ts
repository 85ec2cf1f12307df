import { Command, type Help, type Option } from 'commander';
import { usageError } from '../errors/cli-error.ts';
import { nearest } from '@computefabric/protocol/grammar/similar';

/** A command line that does something useful, and what that is. */
export type Example = readonly [commandLine: string, meaning: string];

/** A command with examples, and help that shows them first. */
export class CfabCommand extends Command {
  readonly examples: Example[] = [];

  override createCommand(name?: string): CfabCommand {
    return new CfabCommand(name);
  }

  /** Examples for the help; each one is parsed by a test. */
  example(...examples: Example[]): this {
    this.examples.push(...examples);
    return this;
  }

  /** The words that lead here: `cfab machine token`. */
  get path(): string {
    const parent = this.parent instanceof CfabCommand ? `${this.parent.path} ` : '';
    return parent + this.name();
  }

  /*
   * Commander calls the next two for words that it does not know. They are not in its typings; the tests of
   * usage errors hold them in place. A similar word is named, never run, and never asked about.
   */

  unknownCommand(): never {
    const typed = this.args[0] ?? '';
    const names = this.commands.map((command) => command.name());
    const similar = nearest(typed, names);
    throw usageError(
      `there is no command "${this.path} ${typed}"`,
      similar ? `a similar command exists: ${similar}` : `see them all:   ${this.path} --help`,
    );
  }

  unknownOption(flag: string): never {
    const own = this.options;
    const inherited = this.parent?.options ?? [];
    const flags = [...own, ...inherited].flatMap(({ long, short }) => [long, short]);
    const similar = nearest(
      flag.replace(/=.*/, ''),
      flags.filter((name) => name !== undefined),
    );
    throw usageError(
      `${this.path} has no flag "${flag.replace(/=.*/, '')}"`,
      similar ? `a similar flag exists: ${similar}` : `see them all:   ${this.path} --help`,
    );
  }
}

/** Help as text: what it does, examples, flags, and where to read on. */
export function formatHelp(command: Command, help: Help): string {
  if (!(command instanceof CfabCommand)) return help.formatHelp(command, help);
  const sections: string[][] = [[command.description()]];
  if (command.examples.length > 0) sections.push(['Examples', ...exampleLines(command.examples)]);
  sections.push(['Usage', `  ${help.commandUsage(command)}`]);
  const args = help.visibleArguments(command);
  if (args.length > 0) {
    sections.push(['Arguments', ...pairs(args.map((arg) => [help.argumentTerm(arg), arg.description]))]);
  }
  const commands = help.visibleCommands(command);
  if (commands.length > 0) {
    sections.push(['Commands', ...pairs(commands.map((sub) => [sub.name(), sub.description()]))]);
  }
  const options = help.visibleOptions(command);
  if (options.length > 0) sections.push(['Flags', ...groupedLines(options)]);
  const global = help.visibleGlobalOptions(command);
  if (global.length > 0) sections.push(['Flags of every command', ...optionLines(global)]);
  sections.push([`More: docs/cli.md#${anchor(command.path)}`]);
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** The place of a command in the reference page, as Markdown renderers name it. */
export function anchor(path: string): string {
  return path.toLowerCase().replaceAll(' ', '-');
}

/** Beside each other where they fit, else the meaning below. */
function exampleLines(examples: readonly Example[]): string[] {
  if (examples.every(([line]) => line.length <= 50)) return pairs(examples);
  return examples.flatMap(([line, meaning]) => [`  ${line}`, `      ${meaning}`]);
}

/** The flags under the headings of their groups, in their order. */
function groupedLines(options: readonly Option[]): string[] {
  const lines = optionLines(options);
  const starts = lines.flatMap((line, index) => (/^ {2}-/.test(line) ? [index] : []));
  return options.flatMap((option, index) => {
    const own = lines.slice(starts[index], starts[index + 1]);
    const heading = option.helpGroupHeading;
    const isFirst = heading !== undefined && heading !== options[index - 1]?.helpGroupHeading;
    return isFirst ? [` ${heading}`, ...own] : own;
  });
}

function optionLines(options: readonly Option[]): string[] {
  return pairs(options.map((option) => [option.flags, option.description]));
}

function pairs(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([term]) => term.length));
  return rows.flatMap(([term, text]) => {
    const [first = '', ...rest] = text.split('\n');
    return [`  ${term.padEnd(width)}  ${first}`, ...rest.map((line) => `  ${' '.repeat(width)}  ${line}`)];
  });
}
