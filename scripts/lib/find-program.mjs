import { accessSync, constants } from 'node:fs';
import { delimiter } from 'node:path';

/**
 * Absolute path of a program on PATH, or in the places where Debian keeps daemons, which are not on
 * an ordinary user's PATH.
 * @param {string} name
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string | undefined}
 */
export function findProgram(name, env = process.env) {
  const folders = [...(env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  for (const folder of folders) {
    if (folder === '') continue;
    try {
      accessSync(`${folder}/${name}`, constants.X_OK);
      return `${folder}/${name}`;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
