import { plainText } from '../terminal/plain-text.ts';
import type { Output } from '../terminal/terminal.ts';
import type { CliError } from './cli-error.ts';

/** Tells a person: what went wrong, what was asked and what there is, what would work, where to read more. */
export function printError(talk: Output, error: CliError, program: string): void {
  const { style } = talk;
  const { code, message, facts = [], help = [], requestId, plain } = error.facts;
  if (plain !== undefined) {
    talk.line(plain);
    return;
  }
  const headline = `error: ${plainText(message)}`;
  const gap = ' '.repeat(Math.max(2, Math.min(talk.columns, 100) - headline.length - code.length - 2));
  const rows: [label: string, text: string][] = [
    ...facts.map(([label, text]): [string, string] => [plainText(label), plainText(text)]),
    ...(requestId ? ([['request', plainText(requestId)]] as [string, string][]) : []),
    ...help.map((text, index): [string, string] => [index === 0 ? 'help' : '', plainText(text)]),
    ['more', `${program} help ${plainText(code)}`],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  talk.line(
    `${style.red('error')}${headline.slice('error'.length)}${gap}${style.dim(`[${plainText(code)}]`)}`,
  );
  for (const [label, text] of rows) talk.line(`  ${style.dim(label.padEnd(width))}  ${text}`);
}

/** The same for programs: one object in one line. */
export function errorJson(error: CliError): string {
  const { code, message, facts = [], help = [], fields, details, retry, requestId } = error.facts;
  return JSON.stringify({
    schema_version: 1,
    error: {
      code,
      message,
      facts: facts.map(([label, text]) => ({ label, text })),
      help,
      ...(fields ? { fields } : {}),
      ...(details ? { details } : {}),
      retry: retry ?? 'never',
      request_id: requestId ?? null,
      cli_exit_code: error.exitCode,
    },
  });
}
