import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
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
    const { pid, identity } = readNote(`${folder}/${file}`);
    if (pid > 0 && processIdentity(pid) === identity) {
      await endProcessGroup(pid, { graceSeconds: 15 });
      ended.push(file.replace(/\.json$/, ''));
    }
    rmSync(`${folder}/${file}`, { force: true });
  };
  await Promise.all(readdirSync(folder).map(end));
  return ended;
}

/** @param {string} path @returns {{ pid: number, identity: string | undefined }} */
function readNote(path) {
  try {
    const { pid, identity } = JSON.parse(readFileSync(path, 'utf8'));
    return { pid: Number(pid), identity: String(identity) };
  } catch {
    return { pid: 0, identity: undefined }; // Cut off by the crash that this is about.
  }
}
