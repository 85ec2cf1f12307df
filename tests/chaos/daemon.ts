import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { pause } from '@computefabric/runtime/wait';
import { cleanEnv, root } from '../journeys/program.ts';

interface DaemonOptions {
  name: string;
  /** Below the repository. */
  file: string;
  env: Record<string, string>;
  /** What it prints is appended here. */
  output: string;
  /** Told when it ends although nobody killed it. */
  onEndedByItself: (how: string) => void;
}

/** Between the end of a program and its next start, as a service manager would wait. */
const restartMs = 500;

/** A program of ours under a service manager: it is started again whenever it ends, unless it is held down. */
export class Daemon {
  readonly name: string;
  readonly #options: DaemonOptions;
  #child: ChildProcess | undefined;
  #frozen = false;
  /** Killed by us and not to be started before this many faults are over. */
  #heldDown = 0;
  #stopped = true;
  #expectedEnd = false;
  starts = 0;

  constructor(options: DaemonOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get running(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  get pid(): number | null {
    return this.running ? (this.#child?.pid ?? null) : null;
  }

  start(): void {
    this.#stopped = false;
    if (this.running || this.#heldDown > 0) return;
    const { file, env, output, onEndedByItself } = this.#options;
    const descriptor = openSync(output, 'a');
    this.#expectedEnd = false;
    this.#frozen = false;
    this.starts += 1;
    const child = spawn(process.execPath, [file], {
      cwd: root,
      env: cleanEnv(env),
      stdio: ['ignore', descriptor, descriptor],
    });
    closeSync(descriptor);
    this.#child = child;
    child.once('exit', (code, signal) => {
      if (!this.#expectedEnd) onEndedByItself(signal ?? `exit code ${code}`);
      setTimeout(() => {
        if (this.#child === child && !this.#stopped) this.start();
      }, restartMs);
    });
  }

  /** SIGKILL now, and no new start for `forMs`. False when it was not there to be killed. */
  async kill(forMs: number): Promise<boolean> {
    if (!this.running) return false;
    this.#heldDown += 1;
    this.#expectedEnd = true;
    this.#child?.kill('SIGKILL');
    await pause(forMs);
    this.#heldDown -= 1;
    if (!this.#stopped) this.start();
    return true;
  }

  /** SIGSTOP for `forMs`. False when it was not there, or frozen already. */
  async freeze(forMs: number): Promise<boolean> {
    const child = this.#child;
    if (!this.running || this.#frozen) return false;
    this.#frozen = true;
    child?.kill('SIGSTOP');
    await pause(forMs);
    if (this.#child === child) this.#frozen = false;
    if (child?.exitCode === null && child.signalCode === null) child.kill('SIGCONT');
    return true;
  }

  /** Asks it to end, and ends it after `seconds`. */
  async stop(seconds: number): Promise<'ended' | 'killed'> {
    this.#stopped = true;
    this.#expectedEnd = true;
    if (!this.running) return 'ended';
    this.#child?.kill('SIGCONT');
    this.#child?.kill('SIGTERM');
    const deadline = Date.now() + seconds * 1_000;
    while (this.running && Date.now() < deadline) await pause(20);
    if (!this.running) return 'ended';
    this.#child?.kill('SIGKILL');
    while (this.running) await pause(20);
    return 'killed';
  }
}
