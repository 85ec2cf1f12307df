import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { endProcessGroup, processIdentity } from './end-process.mjs';

/**
 * Ends the programs of an earlier run that was killed before it could stop them (kill -9, a closed
 * machine). Their ports and database would otherwise be in the way. Call it while holding the
 * home's lock: then no living run can own them.
 *
 * @param {string} home
 * @returns {Promise<string[]>} Names of the programs that were ended.
 */
export async function endLeftovers(home) {
  const folder = `${home}/run`;
  if (!existsSync(folder)) return [];
  /** @type {string[]} */
  const ended = [];
  const end = async (/** @type {string} */ file) => {
    if (await endNoted(`${folder}/${file}`)) ended.push(file.replace(/\.json$/, ''));
  };
  await Promise.all(readdirSync(folder).map(end));
  return ended;
}

/**
 * Ends the process that a note names, if it still runs, and removes the note.
 * @param {string} path
 * @returns {Promise<boolean>} Whether something was ended.
 */
export async function endNoted(path) {
  const { pid, identity } = readNote(path);
  const runs = pid > 0 && processIdentity(pid) === identity;
  if (runs) await endProcessGroup(pid, { graceSeconds: 15 });
  rmSync(path, { force: true });
  return runs;
}

/**
 * Notes a process so that the next run finds it, should this one be killed.
 * @param {string} path @param {number} pid
 */
export function writeNote(path, pid) {
  writeFileSync(path, JSON.stringify({ pid, identity: processIdentity(pid) }));
}

/** @param {string} path @returns {{ pid: number, identity: string | undefined }} */
function readNote(path) {
  try {
    const { pid, identity } = JSON.parse(readFileSync(path, 'utf8'));
    return { pid: Number(pid), identity: String(identity) };
  } catch {
    return { pid: 0, identity: undefined }; // None, or cut off by the crash that this is about.
  }
}
