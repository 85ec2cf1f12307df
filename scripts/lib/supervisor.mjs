import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { endProcessGroup, killGroup } from './end-process.mjs';
import { writeNote } from './leftovers.mjs';
import { lastLineOf, rotateLog, tailOf } from './log-files.mjs';

/**
 * Keeps the programs of one copy running: a program that dies is started again, and each stops when
 * that is asked for.
 *
 * Output goes straight to files in `<home>/logs` and not through us, so nothing is lost when we are
 * killed. Each program leads a process group of its own: Ctrl-C in the terminal reaches only us. A
 * note in `<home>/run` lets the next start find what a killed run left behind.
 *
 * @typedef {object} Program
 * @property {string} name Also the name of its log file.
 * @property {string[]} args Of node.
 * @property {NodeJS.ProcessEnv} env Whole environment.
 * @property {() => Promise<boolean>} isReady
 * @property {number} readySeconds Longest time until it is ready.
 * @property {number} stopSeconds From SIGTERM to SIGKILL.
 *
 * @typedef {object} Running
 * @property {Program} program
 * @property {number | undefined} pid
 * @property {number} startedAt
 * @property {string | undefined} ended How it ended; undefined while it runs.
 * @property {boolean} wasReady Once ready, an end is answered with a restart.
 * @property {boolean} stopping
 * @property {number} quickEnds Times in a row that it lived less than `quickEndSeconds`.
 * @property {NodeJS.Timeout | undefined} restart
 *
 * @param {object} options
 * @param {string} options.home
 * @param {string} options.cwd
 * @param {(text: string) => void} options.line Where restarts are announced.
 * @param {AbortSignal} options.signal Nothing is started any more once it aborts.
 */
export function createSupervisor({ home, cwd, line, signal }) {
  /** @type {Map<string, Running>} */
  const all = new Map();

  return {
    /**
     * Resolves when the program is ready, or when it will not be. A program that ends before it was
     * ready is not tried again: its settings are wrong, and the log says how.
     *
     * @param {Program} program
     * @param {(text: string) => void} [onWait] Gets the newest line of its log.
     * @returns {Promise<{ ok: true } | { ok: false, reason: string, tail: string }>}
     */
    async start(program, onWait) {
      const { name, readySeconds } = program;
      const log = logFileOf(home, name);
      mkdirSync(`${home}/logs`, { recursive: true });
      mkdirSync(`${home}/run`, { recursive: true });
      rotateLog(log);
      /** @type {Running} */
      const running = {
        program,
        pid: undefined,
        startedAt: 0,
        ended: undefined,
        wasReady: false,
        stopping: false,
        quickEnds: 0,
        restart: undefined,
      };
      all.set(name, running);
      launch(running);
      const deadline = Date.now() + readySeconds * 1000;
      while (!(await program.isReady())) {
        if (running.ended !== undefined)
          return { ok: false, reason: `it ended (${running.ended})`, tail: tailOf(log) };
        if (signal.aborted) return { ok: false, reason: 'stopped', tail: '' };
        if (Date.now() > deadline)
          return { ok: false, reason: `not ready after ${readySeconds} s`, tail: tailOf(log) };
        onWait?.(lastLineOf(log));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      running.wasReady = true;
      // It may have ended in the moment between the answer and now.
      if (running.ended !== undefined) scheduleRestart(running);
      return { ok: true };
    },

    /** @param {string} name @returns {Promise<'ended' | 'killed' | 'not running'>} */
    async stop(name) {
      const running = all.get(name);
      if (running === undefined) return 'not running';
      running.stopping = true;
      clearTimeout(running.restart);
      const { pid, program } = running;
      const how =
        pid === undefined ? 'ended' : await endProcessGroup(pid, { graceSeconds: program.stopSeconds });
      rmSync(runFileOf(home, name), { force: true });
      all.delete(name);
      return how;
    },

    /** SIGKILL for every program and everything in its group; does not wait. */
    killAll() {
      for (const running of all.values()) {
        running.stopping = true;
        clearTimeout(running.restart);
        if (running.pid !== undefined) killGroup(running.pid);
      }
    },
  };

  /** @param {Running} running */
  function launch(running) {
    const { name, args, env } = running.program;
    const log = openSync(logFileOf(home, name), 'a', 0o600);
    const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    running.pid = child.pid;
    running.startedAt = Date.now();
    running.ended = undefined;
    if (child.pid !== undefined) writeNote(runFileOf(home, name), child.pid);
    /** @param {string} how */
    const end = (how) => {
      running.ended = how;
      if (running.wasReady) scheduleRestart(running);
    };
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, byASignal) => end(byASignal ?? `exit code ${code}`));
  }

  /** @param {Running} running */
  function scheduleRestart(running) {
    if (running.stopping || signal.aborted) return;
    const { name } = running.program;
    if (Date.now() - running.startedAt > quickEndSeconds * 1000) running.quickEnds = 0;
    running.quickEnds += 1;
    if (running.quickEnds > maxQuickEnds) {
      line(
        ` ${name} ended ${running.quickEnds} times in a row (${running.ended}); giving up. The end of its log:`,
      );
      line(tailOf(logFileOf(home, name)));
      return;
    }
    const seconds = Math.min(8, 0.5 * 2 ** (running.quickEnds - 1));
    line(
      ` ${name} ended (${running.ended}); starting it again in ${seconds} s · log ${logFileOf(home, name)}`,
    );
    running.restart = setTimeout(() => {
      if (!running.stopping && !signal.aborted) launch(running);
    }, seconds * 1000);
  }
}

/** A program that lives shorter than this ended quickly; five in a row mean that it will not work. */
const quickEndSeconds = 30;
const maxQuickEnds = 5;

/** @param {string} home @param {string} name */
export function logFileOf(home, name) {
  return `${home}/logs/${name}.log`;
}

/** @param {string} home @param {string} name */
export function runFileOf(home, name) {
  return `${home}/run/${name}.json`;
}
