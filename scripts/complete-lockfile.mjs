import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rootDir } from './lib/paths.mjs';

/**
 * Adds the entries that package-lock.json lacks for packages of other platforms.
 *
 * Some registries (mirrors, proxies) carry only some platforms. npm then leaves the others out of the
 * lock file without a word, and `npm ci` refuses that file on every machine ("Missing: … from lock
 * file"). Run this after a change of dependencies; a test says when it is needed.
 *
 * Usage: node scripts/complete-lockfile.mjs
 *
 * @typedef {object} LockEntry
 * @property {string} [version]
 * @property {boolean} [dev]
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 * @property {string[]} [libc]
 * @property {Record<string, string>} [optionalDependencies]
 *
 * @param {Record<string, LockEntry>} packages The `packages` of a lock file.
 * @returns {Record<string, LockEntry>} The missing entries, by path.
 */
export function missingEntries(packages) {
  /** @type {Record<string, LockEntry>} */
  const missing = {};
  for (const [path, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (foldersUp(path).some((folder) => `${folder}node_modules/${name}` in packages)) continue;
      // Ranges (`^1.2.0`) are ordinary optional packages, which the registry must know.
      if (!/^\d+\.\d+\.\d+[\w.-]*$/.test(version)) continue;
      const { cpu, libc, os } = platformOf(name);
      // In npm's own order, so that the next `npm install` leaves the file as it is.
      missing[`node_modules/${name}`] = {
        version,
        ...(cpu.length > 0 ? { cpu } : {}),
        ...(entry.dev ? { dev: true } : {}),
        ...(libc.length > 0 ? { libc } : {}),
        optional: true,
        ...(os.length > 0 ? { os } : {}),
      };
    }
  }
  return missing;
}

/** Where npm looks for a dependency of a package: beside it, then further up. @param {string} path */
function foldersUp(path) {
  const folders = [''];
  const parts = path.split('/node_modules/');
  for (let depth = 1; depth <= parts.length; depth++)
    folders.push(`${parts.slice(0, depth).join('/node_modules/')}/`);
  return folders;
}

/**
 * Packages for one platform say so in their name, such as `@next/swc-darwin-arm64`. npm needs it in
 * the lock file to know that it need not fetch them here.
 * @param {string} name
 */
function platformOf(name) {
  const words = (name.split('/').at(-1) ?? name).split('-');
  const os = words.filter((word) =>
    ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'].includes(word),
  );
  const cpu = words.filter((word) =>
    ['arm', 'arm64', 'ia32', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64'].includes(word),
  );
  const last = words.at(-1) ?? '';
  const libc =
    os[0] !== 'linux' ? [] : last.startsWith('musl') ? ['musl'] : last.startsWith('gnu') ? ['glibc'] : [];
  return { cpu, libc, os };
}

if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === process.argv[1]) {
  const file = `${rootDir}/package-lock.json`;
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  const missing = missingEntries(lock.packages);
  const sorted = Object.entries({ ...lock.packages, ...missing }).toSorted(([a], [b]) =>
    a.localeCompare(b, 'en'),
  );
  lock.packages = Object.fromEntries(sorted);
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  for (const [path, { version }] of Object.entries(missing)) console.log(`added ${path} ${version}`);
  console.log(`${Object.keys(missing).length} entries were missing`);
}
