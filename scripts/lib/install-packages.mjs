import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { endNoted } from './leftovers.mjs';
import { withLock } from './lock-file.mjs';
import { checkoutStateDir, rootDir } from './paths.mjs';
import { runCommand } from './run-command.mjs';

/**
 * Makes sure that node_modules holds what package-lock.json says, with `npm ci` when it does not.
 * Quick when nothing changed: two files are compared. One at a time per checkout, because `npm ci`
 * starts by deleting node_modules.
 *
 * @param {object} options
 * @param {import('./progress.mjs').Step} options.step
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<{ ok: true, installed: boolean } | { ok: false, reason: string, tail: string }>}
 */
export async function ensurePackages({ step, signal }) {
  if (isInstalled()) return { ok: true, installed: false };
  const lock = `${checkoutStateDir}/install.lock`;
  const onWait = (/** @type {{ pid: number }} */ owner) =>
    step.detail(`process ${owner.pid} is installing the packages`);
  return withLock(lock, { deadlineSeconds: 900, onWait }, async () => {
    await endNoted(noteFile); // Of a run that was killed.
    if (isInstalled()) return { ok: true, installed: false };
    return install(step, signal);
  });
}

/**
 * @param {import('./progress.mjs').Step} step
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<{ ok: true, installed: boolean } | { ok: false, reason: string, tail: string }>}
 */
async function install(step, signal) {
  const total = Object.values(readPackages(lockFile)).filter(isForThisMachine).length;
  let fetched = 0;
  step.detail('npm ci: reading package-lock.json');
  // When npm runs us, it tells where its own program is; that also works where `npm` is not on PATH.
  const npm = process.env.npm_execpath;
  const [file, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const result = await runCommand(file, [...first, 'ci', '--no-audit', '--no-fund', '--loglevel=http'], {
    cwd: rootDir,
    deadlineSeconds: 900,
    noteFile,
    onLine: (line) => {
      if (/http fetch GET 200 .*\.tgz/.test(line)) fetched += 1;
      const doing =
        fetched === 0 ? 'looking at what is needed' : `${fetched} of about ${total} packages fetched`;
      step.detail(`npm ci: ${line.startsWith('npm http') ? doing : line.slice(0, 80)}`);
    },
    ...(signal === undefined ? {} : { signal }),
  });
  if (result.ok) {
    writeFileSync(stampFile, lockHash());
    return { ok: true, installed: true };
  }
  const tail = result.tail
    .split('\n')
    .filter((line) => !/npm http|Unknown user config/.test(line))
    .slice(-15)
    .join('\n');
  const reason = result.missing ? 'npm is not on PATH' : 'npm ci failed';
  return { ok: false, reason, tail };
}

const noteFile = `${checkoutStateDir}/install.json`;
const lockFile = `${rootDir}/package-lock.json`;
/** npm's own record of what is in node_modules, written at the very end of an installation. */
const installedFile = `${rootDir}/node_modules/.package-lock.json`;
const stampFile = `${rootDir}/node_modules/.computefabric-install`;

/**
 * True when `npm ci` ran for this very lock file, or when npm's record shows the same packages (a
 * person ran `npm install`).
 */
function isInstalled() {
  try {
    readFileSync(installedFile);
    if (readIfThere(stampFile) === lockHash()) return true;
    const wanted = readPackages(lockFile);
    const installed = readPackages(installedFile);
    for (const [path, { version, optional, peer }] of Object.entries(wanted)) {
      const there = installed[path];
      if (path === '' || (there === undefined && (optional || peer))) continue;
      if (there === undefined || there.version !== version) return false;
    }
    writeFileSync(stampFile, lockHash());
    return true;
  } catch {
    return false; // Something is missing; `npm ci` says what, if it cannot put it right.
  }
}

/** Workspaces (links) are not fetched, nor are packages for other systems. @param {LockEntry} entry */
function isForThisMachine({ version, link, os, cpu }) {
  const fits = (/** @type {string[] | undefined} */ list, /** @type {string} */ mine) =>
    list?.includes(mine) ?? true;
  return version !== undefined && !link && fits(os, process.platform) && fits(cpu, process.arch);
}

/**
 * @typedef {{ version?: string, optional?: boolean, peer?: boolean, link?: boolean, os?: string[], cpu?: string[] }} LockEntry
 * @param {string} path
 * @returns {Record<string, LockEntry>}
 */
function readPackages(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages;
}

function lockHash() {
  return createHash('sha256').update(readFileSync(lockFile)).update(process.version).digest('hex');
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
