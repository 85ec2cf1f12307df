import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { runCommand } from './run-command.mjs';

/**
 * Installs Debian packages with progress and a deadline. Only as root on Debian or Ubuntu; anywhere
 * else it says which command a person has to run.
 *
 * @param {object} options
 * @param {string[]} options.packages
 * @param {import('./progress.mjs').Step} options.step Gets a line per package.
 * @param {number} [options.deadlineSeconds] For the whole installation; slow mirrors take minutes.
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<{ ok: true } | { ok: false, reason: string, command: string }>}
 */
export async function installPackages({ packages, step, deadlineSeconds = 600, signal }) {
  const command = aptCommand(packages);
  if (!canInstallPackages()) {
    return { ok: false, reason: 'packages can only be installed as root on Debian or Ubuntu', command };
  }
  const deadline = Date.now() + deadlineSeconds * 1000;
  /** @param {string[]} args */
  const apt = (args) =>
    runCommand('apt-get', [...quietOptions, ...args], {
      deadlineSeconds: Math.max(1, (deadline - Date.now()) / 1000),
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      // A package that is half unpacked leaves the machine's package system in need of repair.
      graceSeconds: 60,
      onLine: (line) => step.detail(line),
      ...(signal === undefined ? {} : { signal }),
    });

  if (packageListsAreOld()) {
    step.note('updating the package lists (apt-get update)');
    const update = await apt(['update']);
    // Not fatal: one unreachable third-party source makes update fail while Debian's own lists work.
    if (!update.ok) step.note(`apt-get update: ${lastLine(update.tail)}`);
  }
  step.note(`installing ${packages.join(' ')} (apt-get install)`);
  let install = await apt(['install', '--no-install-recommends', ...packages]);
  if (
    !install.ok &&
    /unable to (locate|fetch)|404 +not found|has no installation candidate/i.test(install.tail)
  ) {
    step.note('the package lists are out of date, updating them');
    await apt(['update']);
    install = await apt(['install', '--no-install-recommends', ...packages]);
  }
  if (install.ok) return { ok: true };
  return { ok: false, reason: `apt-get install failed: ${lastLine(install.tail)}`, command };
}

/** The one command that a person can paste. @param {string[]} packages */
export function aptCommand(packages) {
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  return `${sudo}apt-get update && ${sudo}apt-get install -y ${packages.join(' ')}`;
}

export function canInstallPackages() {
  return process.getuid?.() === 0 && isDebian();
}

/** Debian, Ubuntu and what is made from them. */
export function isDebian() {
  if (!existsSync('/usr/bin/apt-get') || !existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/** True when systemd is the running service manager (not merely installed). */
export function hasSystemd() {
  return existsSync('/run/systemd/system');
}

/** No waiting for a key press, two minutes for another apt to finish, no endless network retries. */
const quietOptions = [
  '-y',
  '-o',
  'DPkg::Lock::Timeout=120',
  '-o',
  'Acquire::Retries=2',
  '-o',
  'Acquire::http::Timeout=20',
  '-o',
  'Dpkg::Use-Pty=0',
];

/** A day: mirrors drop superseded versions soon after a new one appears. */
function packageListsAreOld() {
  try {
    const lists = readdirSync('/var/lib/apt/lists').filter((name) =>
      /_(InRelease|Release|Packages)/.test(name),
    );
    const newest = Math.max(0, ...lists.map((name) => statSync(`/var/lib/apt/lists/${name}`).mtimeMs));
    // A list keeps the mirror's date, so the folder's own time says when we last looked.
    const looked = lists.length === 0 ? 0 : statSync('/var/lib/apt/lists/partial').mtimeMs;
    return Date.now() - Math.max(newest, looked) > 24 * 3600 * 1000;
  } catch {
    return true; // No lists at all.
  }
}

/** @param {string} text */
function lastLine(text) {
  return (
    text
      .split('\n')
      .filter((line) => /^E:|error/i.test(line))
      .at(-1) ??
    text.split('\n').at(-1) ??
    ''
  );
}
