import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, symlinkSync, rmSync } from 'node:fs';
import { pingDocker } from './docker-api.mjs';
import { endProcess } from './end-process.mjs';
import { sharedEngineDir } from './engine-users.mjs';
import { findProgram } from './find-program.mjs';

/**
 * Where an engine lives.
 * @typedef {object} EnginePlace
 * @property {string} socket
 * @property {string[]} args Added to dockerd's own.
 * @property {string[]} [launcher] A program that becomes dockerd, such as `unshare --net`.
 */

/** A cold engine is up in 2–5 s here; a slow disk with many images takes far longer. */
const attemptSeconds = 45;

/**
 * Starts `dockerd` detached and waits until it answers. Some machines (containers, odd kernels)
 * need another storage driver or firewall tool: the log of a failed attempt says which, and the
 * next attempt uses it.
 *
 * @param {EnginePlace} place
 * @param {import('./progress.mjs').Step} step
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ ok: true, pid: number, version: string, logFile: string } | { ok: false, reason: string, logFile: string }>}
 */
export async function startDockerd(place, step, signal) {
  const folder = sharedEngineDir(place.socket);
  mkdirSync(folder, { recursive: true });
  const logFile = `${folder}/dockerd.log`;
  const program = findProgram('dockerd');
  if (program === undefined) return { ok: false, reason: 'dockerd is not installed', logFile };

  /** @type {Fallback[]} */
  const used = [];
  for (;;) {
    const extraArgs = used.flatMap((fallback) => fallback.args);
    const path = used.some((fallback) => fallback.legacyIptables) ? `${legacyIptablesFolder(folder)}:` : '';
    const [file = program, ...args] = [...(place.launcher ?? []), program, ...place.args, ...extraArgs];
    const attempt = await tryStart(file, args, {
      socket: place.socket,
      logFile,
      path: `${path}${process.env.PATH ?? ''}:/usr/sbin:/sbin`,
      onWait: (text) => step.detail(text),
      ...(signal === undefined ? {} : { signal }),
    });
    if (attempt.ok) return { ...attempt, logFile };
    const next = fallbacks.find((fallback) => !used.includes(fallback) && fallback.when.test(attempt.log));
    if (next === undefined || signal?.aborted) {
      for (const line of attempt.log.trim().split('\n').slice(-6))
        step.note(`dockerd: ${line.slice(0, 200)}`);
      const cause = /failed to start daemon: (.*)/.exec(attempt.log)?.[1] ?? 'it does not answer';
      return { ok: false, reason: `dockerd did not start (${cause})`, logFile };
    }
    step.note(`dockerd did not start; trying ${next.name}`);
    used.push(next);
  }
}

/**
 * @typedef {{ name: string, when: RegExp, args: string[], legacyIptables: boolean }} Fallback
 * @type {Fallback[]}
 */
const fallbacks = [
  {
    // overlayfs cannot be stacked on overlayfs, which is what a container's own disk is.
    name: 'the vfs storage driver (slower, works on every disk)',
    when: /graphdriver|no supported storage driver|driver not supported|failed to mount overlay/i,
    args: ['--storage-driver=vfs'],
    legacyIptables: false,
  },
  {
    name: 'the older firewall tool (iptables-legacy)',
    when: /iptables|nf_tables|nat chain/i,
    args: [],
    legacyIptables: true,
  },
  {
    name: 'an engine that leaves the firewall alone (containers then have no network)',
    when: /iptables|nf_tables|nat chain|network controller|bridge/i,
    args: ['--iptables=false', '--ip6tables=false'],
    legacyIptables: false,
  },
];

/**
 * @param {string} program @param {string[]} args
 * @param {{ socket: string, logFile: string, path: string, onWait: (text: string) => void, signal?: AbortSignal }} options
 * @returns {Promise<{ ok: true, pid: number, version: string } | { ok: false, log: string }>}
 */
async function tryStart(program, args, { socket, logFile, path, onWait, signal }) {
  const log = openSync(logFile, 'w', 0o600);
  // `detached` makes it a session of its own, so that Ctrl-C in our terminal does not reach it.
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, PATH: path },
  });
  closeSync(log);
  child.unref();
  let ended = false;
  child.once('exit', () => (ended = true));
  child.once('error', () => (ended = true));
  const deadline = Date.now() + attemptSeconds * 1000;
  while (!ended && Date.now() < deadline && !signal?.aborted) {
    onWait(`waiting for dockerd: ${readFileSync(logFile, 'utf8').trim().split('\n').at(-1) ?? ''}`);
    const answer = await pingDocker(`unix://${socket}`);
    if ('version' in answer && child.pid !== undefined)
      return { ok: true, pid: child.pid, version: answer.version };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  if (!ended && child.pid !== undefined) await endProcess(child.pid, { graceSeconds: 10 });
  return { ok: false, log: readFileSync(logFile, 'utf8') };
}

/**
 * A folder for the front of PATH in which `iptables` means the older implementation, so that the
 * machine's own choice stays as it is.
 * @param {string} folder
 */
function legacyIptablesFolder(folder) {
  const bin = `${folder}/legacy-iptables`;
  mkdirSync(bin, { recursive: true });
  for (const name of ['iptables', 'ip6tables', 'iptables-save', 'iptables-restore']) {
    const legacy = findProgram(name.replace('tables', 'tables-legacy'));
    if (legacy === undefined) continue;
    rmSync(`${bin}/${name}`, { force: true });
    symlinkSync(legacy, `${bin}/${name}`);
  }
  return bin;
}
