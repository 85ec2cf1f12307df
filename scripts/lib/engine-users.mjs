import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { endProcess, processIdentity } from './end-process.mjs';
import { withLock } from './lock-file.mjs';

/**
 * Who uses an engine that one of our runs started. The engine belongs to the machine, not to one
 * checkout or home folder, so this is kept under /run: it is empty after a reboot, as the engine is.
 *
 *   /run/computefabric/engine-<socket>/engine.json   { pid, identity } of dockerd
 *   /run/computefabric/engine-<socket>/users/<pid>   identity of each run that uses it
 *
 * @param {string} socket
 */
export function sharedEngineDir(socket) {
  const name = createHash('sha256').update(socket).digest('hex').slice(0, 10);
  return `/run/computefabric/engine-${name}`;
}

/**
 * Remembers that a run of ours started this engine.
 * @param {string} socket @param {number} pid Of dockerd.
 */
export async function recordEngine(socket, pid) {
  const folder = sharedEngineDir(socket);
  await mkdir(`${folder}/users`, { recursive: true });
  await writeFile(`${folder}/engine.json`, JSON.stringify({ pid, identity: processIdentity(pid) }));
}

/**
 * @param {string} socket
 * @returns {Promise<boolean>} false when the engine is not one that a run of ours started.
 */
export async function joinEngineUsers(socket) {
  const folder = sharedEngineDir(socket);
  if ((await readEngine(folder)) === undefined) return false;
  await writeFile(`${folder}/users/${process.pid}`, processIdentity(process.pid) ?? '');
  return true;
}

/**
 * Leaves the engine, and stops it when nobody else uses it.
 *
 * @param {string} socket
 * @param {() => Promise<number>} countForeignContainers
 * @returns {Promise<string | undefined>} Why the engine stays up, when it does.
 */
export async function leaveEngine(socket, countForeignContainers) {
  const folder = sharedEngineDir(socket);
  // The same lock as for starting: nobody can join between the count and the end.
  return withLock(`${folder}/start.lock`, { deadlineSeconds: 60 }, async () => {
    await rm(`${folder}/users/${process.pid}`, { force: true });
    const engine = await readEngine(folder);
    if (engine === undefined) return undefined;
    const others = await livingUsers(folder);
    if (others.length > 0) return `the Docker engine stays up for process ${others.join(', ')}`;
    const foreign = await countForeignContainers();
    if (foreign > 0) {
      return `the Docker engine stays up: ${foreign} other container(s) run on it (stop it with: kill ${engine.pid})`;
    }
    await endProcess(engine.pid, { graceSeconds: 20 });
    await rm(`${folder}/engine.json`, { force: true });
    return undefined;
  });
}

/** @param {string} folder @returns {Promise<{ pid: number } | undefined>} undefined when it no longer runs. */
async function readEngine(folder) {
  try {
    const { pid, identity } = JSON.parse(await readFile(`${folder}/engine.json`, 'utf8'));
    return processIdentity(pid) === identity ? { pid } : undefined;
  } catch {
    return undefined; // Never recorded: the engine is somebody else's.
  }
}

/** Runs that ended without leaving (kill -9) do not count. @param {string} folder */
async function livingUsers(folder) {
  const living = [];
  for (const name of await readdir(`${folder}/users`)) {
    const identity = await readFile(`${folder}/users/${name}`, 'utf8');
    if (processIdentity(Number(name)) === identity) living.push(name);
    else await rm(`${folder}/users/${name}`, { force: true });
  }
  return living;
}
