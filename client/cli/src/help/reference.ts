import type { Option } from 'commander';
import type { CfabCommand } from './cfab-command.ts';
import { topics } from './topics.ts';

/** The reference page as Markdown, out of the same words that `--help` and `cfab help` say. */
export function referencePage(program: CfabCommand): string {
  const commands = program.commands.flatMap((command) => [command, ...command.commands]) as CfabCommand[];
  const sections = [
    '# The command line',
    [
      'Written by `npx cfab help reference > docs/cli.md`; change the program, not this page. In a checkout the',
      'program is `npx cfab`, in `client/cli` also `npm run start --`.',
    ].join('\n'),
    program.description(),
    codeBlock(program.examples.map(([line, meaning]) => `${line}\n    ${meaning}`)),
    '## Flags of every command',
    flagList(program.options),
    ...commands.flatMap(commandSection),
    ...topics.flatMap((topic) => [`## cfab help ${topic.name}`, `${topic.title}.`, codeBlock(topic.lines())]),
  ];
  return `${sections.join('\n\n')}\n`;
}

function commandSection(command: CfabCommand): string[] {
  const usage = `${command.path} ${command.usage()}`;
  const args = command.registeredArguments.map(
    (arg) => `- \`${arg.required ? `<${arg.name()}>` : `[${arg.name()}]`}\` ${arg.description}`,
  );
  return [
    `## ${command.path}`,
    command.description(),
    codeBlock([usage]),
    ...(args.length > 0 ? ['Arguments:', args.join('\n')] : []),
    ...(command.options.length > 0 ? ['Flags:', flagList(command.options)] : []),
    ...(command.examples.length > 0
      ? ['Examples:', codeBlock(command.examples.map(([line, meaning]) => `${line}\n    ${meaning}`))]
      : []),
  ];
}

function flagList(options: readonly Option[]): string {
  return options
    .map(({ flags, description, helpGroupHeading: heading }, index) => {
      const line = `- \`${flags}\` ${description.replaceAll('\n', ' ')}`;
      if (heading === undefined || heading === options[index - 1]?.helpGroupHeading) return line;
      return `${index === 0 ? '' : '\n'}**${heading}**\n\n${line}`;
    })
    .join('\n');
}

/** Not marked as shell: these are to be read, with a job of your own in the place of mnist-7k2. */
function codeBlock(lines: readonly string[]): string {
  return ['```text', ...lines, '```'].join('\n');
}
