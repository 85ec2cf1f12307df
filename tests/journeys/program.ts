import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { withDeadline } from '@computefabric/runtime/wait';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Variables that a program of ours may see: nothing of the developer's own settings leaks into a test. */
const inherited = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR', 'DOCKER_HOST', 'NODE_EXTRA_CA_CERTS'];

export function cleanEnv(extra: Record<string, string>): NodeJS.ProcessEnv {
  const kept = inherited.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(kept), NODE_ENV: 'test', ...extra };
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A program of ours as a real process. */
export class Program {
  readonly child: ChildProcess;
  readonly #name: string;
  #stdout = '';
  #stderr = '';

  constructor(name: string, file: string, args: string[], env: Record<string, string>, cwd = root) {
    this.#name = name;
    this.child = spawn(process.execPath, [file, ...args], {
      cwd,
      env: cleanEnv(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (bytes: Buffer) => {
      this.#stdout += bytes.toString('utf8');
    });
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.#stderr += bytes.toString('utf8');
    });
  }

  get output(): string {
    return this.#stdout + this.#stderr;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.#name} did not start`);
    return this.child.pid;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.child.kill(signal);
  }

  /** Waits for the end, at most `seconds`. */
  async finished(seconds: number): Promise<Finished> {
    if (this.running) {
      await withDeadline(once(this.child, 'close'), seconds * 1_000, this.#name).catch((error: Error) => {
        throw new Error(`${error.message}\n${this.output.slice(-4_000)}`, { cause: error });
      });
    }
    return { code: this.child.exitCode, stdout: this.#stdout, stderr: this.#stderr };
  }

  /** Asks it to stop and makes sure that it does. */
  async stop(seconds = 20): Promise<void> {
    this.kill('SIGTERM');
    try {
      await this.finished(seconds);
    } catch (error) {
      this.kill('SIGKILL');
      throw error;
    }
  }
}

/** Asks until the answer is there: a condition with a deadline instead of a sleep. */
export async function until<T>(
  what: string,
  seconds: number,
  ask: () => Promise<T | null | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + seconds * 1_000;
  let lastError: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s for ${what}`, { cause: lastError });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
