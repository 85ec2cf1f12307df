import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { exitCodes } from '../exit-codes.ts';
import { buildProgram } from '../program.ts';
import { runHere, Workbench } from '../testing/run-cfab.ts';
import type { CfabCommand } from './cfab-command.ts';
import { referencePage } from './reference.ts';

vi.setConfig({ testTimeout: 40_000 });

const page = readFileSync(fileURLToPath(new URL('../../../../docs/cli.md', import.meta.url)), 'utf8');
const program = buildProgram({ run: async () => {}, writeOut: () => {}, argv: [] });
const commands = program.commands.flatMap((command) => [command, ...command.commands]) as CfabCommand[];

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.open();
});
afterEach(() => bench.close());

/** The part of the page about a command. */
function sectionOf(path: string): string {
  return page.split(/^## /m).find((section) => section.startsWith(`${path}\n`)) ?? '';
}

describe('the reference page', () => {
  test('is what the program says now', () => {
    expect(page, 'write it again: npx cfab help reference > docs/cli.md').toBe(referencePage(program));
  });

  test('has every flag of each --help, and each --help has every flag of the page', async () => {
    expect(commands.length).toBeGreaterThan(15);
    const helps = await Promise.all(
      commands.map((command) => runHere([...command.path.split(' ').slice(1), '--help'])),
    );
    for (const [index, command] of commands.entries()) {
      const help = helps[index]?.stdout ?? '';
      const own = /^Flags\n([\s\S]*?)\n\n/m.exec(help)?.[1] ?? '';
      const inHelp = [...own.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag);
      const section = sectionOf(command.path);
      const inPage = [...section.matchAll(/^- `(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag);
      expect(inHelp, command.path).toEqual([...inPage, '--help']);
    }
  });

  test('has every exit code', () => {
    const section = sectionOf('cfab help exit-codes');
    for (const { code, meaning } of Object.values(exitCodes))
      expect(section).toMatch(new RegExp(`^ *${code}  ${meaning.slice(0, 10)}`, 'm'));
  });
});

describe('help', () => {
  test('"help x", "x --help" and "x -h" are the same and end with where to read on', async () => {
    for (const words of [['submit'], ['machine', 'token'], ['config']]) {
      const [topic, long, short] = await Promise.all([
        runHere(['help', ...words]),
        runHere([...words, '--help']),
        runHere([...words, '-h']),
      ]);
      expect(topic).toEqual(long);
      expect(short).toEqual(long);
      expect(long).toMatchObject({ code: 0, stderr: '' });
      expect(long.stdout.indexOf('Examples')).toBeLessThan(long.stdout.indexOf('Usage'));
      expect(long.stdout.trimEnd().split('\n').at(-1)).toBe(`More: docs/cli.md#cfab-${words.join('-')}`);
      expect(sectionOf(`cfab ${words.join(' ')}`)).not.toBe('');
    }
  });

  test('the bare program prints a dozen lines', async () => {
    const { code, stdout } = await runHere([]);
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n').length).toBeLessThanOrEqual(13);
    expect((await runHere([], { npm_command: 'exec' })).stdout).toContain('npx cfab submit');
  });

  test('topics and error codes have their text; every topic that is promised exists', async () => {
    for (const topic of [
      'environment',
      'exit-codes',
      'states',
      'billing',
      'errors',
      'job/not-found',
      'cli/usage',
    ]) {
      const { code, stdout } = await runHere(['help', topic]);
      expect({ topic, code }).toEqual({ topic, code: 0 });
      expect(stdout.length).toBeGreaterThan(20);
      expect(stripVTControlCharacters(stdout)).toBe(stdout);
    }
  });

  test('every example that is printed is a command line that works', async () => {
    const examples = [program, ...commands].flatMap((command) => command.examples.map(([line]) => line));
    expect(examples.length).toBeGreaterThan(25);
    for (const line of examples) {
      let ran = false;
      const argv = wordsOf(line).slice(1);
      const run = async () => {
        ran = true;
      };
      const parser = buildProgram({ run, writeOut: () => {}, argv });
      await parser.parseAsync(argv, { from: 'user' }).catch((thrown: unknown) => {
        throw thrown instanceof CommanderError ? new Error(`${line}: ${thrown.message}`) : thrown;
      });
      expect(ran, line).toBe(true);
    }
  });

  test('does not load what only the commands need: schemas and the client', async () => {
    const [help, command] = [await modulesOf(['submit', '--help']), await modulesOf(['help', 'states'])];
    const heavy = /node_modules\/zod|packages\/api-client|client\/cli\/src\/commands/;
    expect(command.filter((name) => heavy.test(name)).length).toBeGreaterThan(10);
    expect(help.filter((name) => heavy.test(name))).toEqual([]);
  });
});

/** Modules of the bundle that were run: esbuild wraps each in a function with the name of its file. */
async function modulesOf(args: string[]): Promise<string[]> {
  const folder = join(bench.home, `coverage-${args.length}${args[0]}`);
  expect((await bench.run(args, { env: { NODE_V8_COVERAGE: folder } })).code).toBe(0);
  const reports = await Promise.all(
    (await readdir(folder)).map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8'))),
  );
  const scripts: { url: string; functions: { functionName: string; ranges: { count: number }[] }[] }[] =
    reports.flatMap((report) => report.result);
  return scripts
    .filter(({ url }) => url.endsWith('client/cli/dist/main.mjs'))
    .flatMap(({ functions }) => functions)
    .filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
    .map(({ functionName }) => functionName);
}

/** The words of a shell line, and no redirection. */
function wordsOf(line: string): string[] {
  const words = line.replace(/ [<>] .*$/, '').match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  return words.map((word) => word.replace(/^(["'])(.*)\1$/, '$2'));
}
