import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { endProcessGroup } from './end-process.mjs';
import { writeNote } from './leftovers.mjs';

/** Lines kept to show when the command fails: enough for a stack trace, small enough to read. */
const tailLines = 40;

/**
 * Runs one program to its end and returns what happened. Never throws for a non-zero exit: the
 * caller knows what a failure means.
 *
 * The program gets a process group of its own, so that Ctrl-C in the terminal reaches only us and
 * we decide what happens to it; when `signal` aborts or the deadline passes, the whole group ends.
 *
 * @param {string} file
 * @param {string[]} args
 * @param {object} options
 * @param {number} options.deadlineSeconds Longest it may run.
 * @param {string} [options.cwd]
 * @param {NodeJS.ProcessEnv} [options.env] Added to our own environment.
 * @param {(line: string) => void} [options.onLine] Each line of stdout and stderr as it comes.
 * @param {'pipe' | 'inherit'} [options.output] `inherit` hands it our own stdout and stderr.
 * @param {AbortSignal} [options.signal]
 * @param {string} [options.noteFile] Names the process while it runs, for `endLeftovers`.
 * @param {number} [options.graceSeconds] From SIGTERM to SIGKILL when it is stopped.
 * @returns {Promise<{ ok: boolean, code: number | null, timedOut: boolean, missing: boolean, stdout: string, tail: string }>}
 *   `missing` is true when there is no such program; `tail` is the last lines of both streams.
 */
export async function runCommand(file, args, options) {
  const {
    deadlineSeconds,
    cwd,
    env = {},
    onLine,
    output = 'pipe',
    signal,
    noteFile,
    graceSeconds = 5,
  } = options;
  /** @type {string[]} */
  const tail = [];
  let stdout = '';
  let timedOut = false;
  if (signal?.aborted) return { ok: false, code: null, timedOut, missing: false, stdout, tail: 'stopped' };

  const child = spawn(file, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    stdio: ['ignore', output, output],
    detached: true,
  });
  /** @type {Promise<{ code: number | null, missing: boolean }>} */
  const ended = new Promise((resolve) => {
    child.once('error', (error) => {
      tail.push(error.message);
      resolve({ code: null, missing: 'code' in error && error.code === 'ENOENT' });
    });
    child.once('close', (code) => resolve({ code, missing: false }));
  });

  if (noteFile !== undefined && child.pid !== undefined) writeNote(noteFile, child.pid);
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    if (stream === child.stdout) stream.on('data', (chunk) => (stdout += String(chunk)));
    createInterface({ input: stream }).on('line', (line) => {
      if (line.trim() === '') return;
      tail.push(line);
      if (tail.length > tailLines) tail.shift();
      onLine?.(line);
    });
  }

  const stop = () => {
    if (child.pid !== undefined) void endProcessGroup(child.pid, { graceSeconds });
  };
  const timer = setTimeout(() => {
    timedOut = true;
    tail.push(`(stopped after ${deadlineSeconds} s)`);
    stop();
  }, deadlineSeconds * 1000);
  signal?.addEventListener('abort', stop, { once: true });
  const { code, missing } = await ended;
  clearTimeout(timer);
  if (noteFile !== undefined) rmSync(noteFile, { force: true });
  signal?.removeEventListener('abort', stop);
  return { ok: code === 0 && !timedOut, code, timedOut, missing, stdout, tail: tail.join('\n') };
}
