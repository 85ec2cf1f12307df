import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { FakeMarket } from '@computefabric/api-client/testing/fake-market';
import { newBearer } from '@computefabric/protocol/api-key';
import { expect } from 'vitest';
import { Interrupts } from '../interrupts.ts';
import { runProgram } from '../run-program.ts';
import { parseEnvironment } from '../settings/environment.ts';
import { Terminal } from '../terminal/terminal.ts';

const launcher = fileURLToPath(new URL('../../bin/cfab.mjs', import.meta.url));
/** Longest run of the program in a test, ms. */
const deadlineMs = 30_000;

export interface RunOptions {
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** What it reads; nothing when absent. */
  input?: string;
}

export interface RunResult {
  /** Null when it ended by a signal. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The real program, started as from a shell. */
export class RunningCfab {
  stdout = '';
  stderr = '';
  readonly child: ChildProcess;
  readonly #ended: Promise<number | null>;

  constructor(
    command: string,
    args: readonly string[],
    options: Required<Pick<RunOptions, 'env'>> & RunOptions,
  ) {
    this.child = spawn(command, args, {
      env: options.env as NodeJS.ProcessEnv,
      cwd: options.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code) => resolve(code));
    });
  }

  type(text: string): void {
    this.child.stdin?.write(text);
  }

  async result(): Promise<RunResult> {
    const code = await this.#ended;
    return { code, stdout: this.stdout, stderr: this.stderr };
  }
}

/** A home folder and a market, and the program to use them with. */
export class Workbench {
  readonly token: string = newBearer('user').token;
  readonly market: FakeMarket;
  readonly home: string;

  private constructor(market: FakeMarket, home: string) {
    this.market = market;
    this.home = home;
  }

  static async open(): Promise<Workbench> {
    return new Workbench(await FakeMarket.start(), await mkdtemp(join(tmpdir(), 'cfab-test-')));
  }

  /** Only what a test gives is in the environment: nothing of the machine that it runs on. */
  env(extra: Record<string, string | undefined> = {}): Record<string, string> {
    const env = {
      PATH: process.env.PATH,
      HOME: this.home,
      XDG_CONFIG_HOME: join(this.home, 'config'),
      TERM: 'xterm-256color',
      COMPUTEFABRIC_URL: this.market.url,
      COMPUTEFABRIC_TOKEN: this.token,
      ...extra,
    };
    return Object.fromEntries(
      Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
  }

  start(args: readonly string[], options: RunOptions = {}): RunningCfab {
    return new RunningCfab(process.execPath, [launcher, ...args], {
      cwd: this.home,
      ...options,
      env: this.env(options.env),
    });
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const running = this.start(args, options);
    running.child.stdin?.end(options.input ?? '');
    return await running.result();
  }

  /** The same on a terminal (util-linux `script`): its stdout is the screen. */
  startOnTerminal(args: readonly string[], options: RunOptions = {}): RunningCfab {
    const line = [process.execPath, launcher, ...args].map(shellQuote).join(' ');
    return new RunningCfab('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
      cwd: this.home,
      ...options,
      env: { SHELL: '/bin/sh', ...this.env(options.env) },
    });
  }

  async close(): Promise<void> {
    await this.market.stop();
    await rm(this.home, { recursive: true, force: true });
  }
}

/**
 * The same program inside the test: for what needs no server, no signal and no terminal, where starting a
 * process for each of a hundred command lines would only cost time.
 */
export async function runHere(args: readonly string[], env: Record<string, string> = {}): Promise<RunResult> {
  const result: RunResult = { code: null, stdout: '', stderr: '' };
  const collect = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        result[name] += chunk.toString();
        done();
      },
    });
  const environment = parseEnvironment({ HOME: '/nonexistent', ...env });
  const stdio = { stdin: process.stdin, stdout: collect('stdout'), stderr: collect('stderr') };
  const terminal = new Terminal(stdio, environment.colour);
  const interrupts = new Interrupts({ on: () => {}, exit: (code) => expect.unreachable(`exit ${code}`) });
  const wantsJson = args.includes('--json');
  result.code = await runProgram({ argv: args, wantsJson, environment, terminal, interrupts });
  await terminal.flush();
  return result;
}

/** The one JSON object of a text that holds nothing else. */
export function onlyJson(text: string): Record<string, unknown> {
  const lines = text.trimEnd().split('\n');
  if (lines.length !== 1) throw new Error(`expected one line of JSON, got:\n${text}`);
  return JSON.parse(lines[0] ?? '');
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
