import { readFileSync, statSync } from 'node:fs';

/**
 * Is a bundle newer than everything it was made from? Only `node:fs` and synchronous calls, because
 * the command line asks this at every start: about 1 ms for a hundred inputs.
 *
 * The record beside a bundle lists each input with its size and modification time. Equality is
 * asked for, not "older than the bundle": a file brought back by git or a backup may carry an old
 * time and new content.
 *
 * @typedef {object} BundleRecord
 * @property {string} recipe Changes when the way of bundling changes.
 * @property {Record<string, [size: number, modifiedMs: number]>} inputs By path relative to the root.
 *
 * @param {string} rootDir
 * @param {string} outFile Absolute path of the bundle.
 * @returns {boolean}
 */
export function isBundleFresh(rootDir, outFile) {
  try {
    statSync(outFile);
    /** @type {BundleRecord} */
    const record = JSON.parse(readFileSync(recordFileOf(outFile), 'utf8'));
    if (record.recipe !== bundleRecipe) return false;
    for (const [path, [size, modifiedMs]] of Object.entries(record.inputs)) {
      const now = statSync(`${rootDir}/${path}`);
      if (now.size !== size || now.mtimeMs !== modifiedMs) return false;
    }
    return true;
  } catch {
    return false; // No bundle, no record, or an input is gone: all mean "build it".
  }
}

/** Change this text whenever the esbuild options in `bundle.mjs` change. */
export const bundleRecipe = 'esbuild-esm-node20-2';

/** @param {string} outFile */
export function recordFileOf(outFile) {
  return outFile.replace(/\.mjs$/, '.meta.json');
}
