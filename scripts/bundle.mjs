import { existsSync } from 'node:fs';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleRecipe, isBundleFresh, recordFileOf } from './lib/bundle-freshness.mjs';
import { rootDir } from './lib/paths.mjs';

/**
 * Bundles each Node program to one ESM file that plain `node` runs. Our own workspaces ship
 * TypeScript source, which node cannot import, so they are bundled; every other package stays
 * outside and is loaded from node_modules. The command line is the exception: with its packages
 * inside, `cfab --help` takes 100 ms instead of 150.
 *
 * Usage: node scripts/bundle.mjs [--force] [orchestrator] [provider] [guard] [cli] [db]
 *
 * @typedef {keyof typeof programs} ProgramName
 */
const programs = {
  orchestrator: { entry: 'orchestrator/src/main.ts', out: 'orchestrator/dist/main.mjs' },
  provider: { entry: 'provider/src/main.ts', out: 'provider/dist/main.mjs' },
  guard: { entry: 'provider/src/guard-main.ts', out: 'provider/dist/guard.mjs' },
  cli: { entry: 'client/cli/src/main.ts', out: 'client/cli/dist/main.mjs', packagesInside: true },
  db: { entry: 'db/src/cli.ts', out: 'db/dist/cli.mjs' },
};

/** Programs that a checkout may lack: they are left out when there is no source for them. */
const optionalPrograms = new Set(['guard']);

/**
 * Makes sure that the named bundles are there and match their sources. Fresh ones cost about a
 * millisecond each. Safe to call from several processes at once: every file appears by a rename.
 *
 * @param {ProgramName[]} [names] All programs when left out.
 * @param {{ force?: boolean }} [options]
 * @returns {Promise<ProgramName[]>} Those that had to be built.
 * @throws with esbuild's messages when a source does not compile or is missing.
 */
export async function ensureBundles(names = allPrograms(), { force = false } = {}) {
  /** @type {ProgramName[]} */
  const built = [];
  for (const name of names) {
    /** @type {ProgramFiles} */
    const { entry, out, packagesInside = false } = programs[name];
    if (!existsSync(`${rootDir}/${entry}`)) {
      if (optionalPrograms.has(name)) continue;
      throw new Error(`cannot bundle ${name}: there is no ${entry}`);
    }
    if (!force && isBundleFresh(rootDir, `${rootDir}/${out}`)) continue;
    await bundle(entry, out, packagesInside);
    built.push(name);
  }
  return built;
}

/** @returns {ProgramName[]} */
function allPrograms() {
  return /** @type {ProgramName[]} */ (Object.keys(programs));
}

/** @typedef {{ entry: string, out: string, packagesInside?: boolean }} ProgramFiles Relative to the root. */

/** @param {string} entry @param {string} out @param {boolean} packagesInside */
async function bundle(entry, out, packagesInside) {
  const esbuild = await loadEsbuild();
  const outFile = `${rootDir}/${out}`;
  const startedAt = Date.now();
  const result = await esbuild.build({
    absWorkingDir: rootDir,
    entryPoints: [entry],
    outfile: out,
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'silent',
    ...(packagesInside
      ? { banner: { js: requireForCommonJs } }
      : { plugins: [{ name: 'bundle-only-our-own-packages', setup: keepOtherPackagesOutside }] }),
  });

  await mkdir(dirname(outFile), { recursive: true });
  // The record comes last: a bundle without its record counts as stale, never the other way round.
  await rm(recordFileOf(outFile), { force: true });
  for (const file of result.outputFiles) await writeAtomically(file.path, file.contents);
  const record = { recipe: bundleRecipe, inputs: await recordInputs(result.metafile, startedAt) };
  await writeAtomically(recordFileOf(outFile), JSON.stringify(record));
}

/** CommonJS packages inside an ESM bundle call `require` for Node's own modules. */
const requireForCommonJs =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

/** @param {import('esbuild').PluginBuild} build */
function keepOtherPackagesOutside(build) {
  build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
    if (kind === 'entry-point' || path.startsWith('@computefabric/')) return undefined;
    return { path, external: true };
  });
}

/**
 * Size and time of every input, plus the package files that decide what an import resolves to. An
 * input that changed while esbuild was reading gets a time that never matches, so that the next
 * check builds again.
 *
 * @param {import('esbuild').Metafile} metafile
 * @param {number} startedAt
 * @returns {Promise<import('./lib/bundle-freshness.mjs').BundleRecord['inputs']>}
 */
async function recordInputs(metafile, startedAt) {
  const paths = new Set(['package.json', 'package-lock.json', 'tsconfig.base.json']);
  for (const input of Object.keys(metafile.inputs)) {
    // What is in node_modules follows from the lock file.
    if (input.startsWith('node_modules/')) continue;
    paths.add(input);
    const workspace = /^(.*?)\/src\//.exec(input)?.[1];
    if (workspace !== undefined) paths.add(`${workspace}/package.json`);
  }
  /** @type {import('./lib/bundle-freshness.mjs').BundleRecord['inputs']} */
  const inputs = {};
  for (const path of [...paths].toSorted()) {
    const { size, mtimeMs } = await stat(`${rootDir}/${path}`);
    inputs[path] = [size, mtimeMs < startedAt ? mtimeMs : 0];
  }
  return inputs;
}

async function loadEsbuild() {
  try {
    return await import('esbuild');
  } catch (error) {
    throw new Error('esbuild is not installed; run `npm ci` in the repository first', { cause: error });
  }
}

/** @param {string} path @param {string | Uint8Array} content */
async function writeAtomically(path, content) {
  const unfinished = `${path}.${process.pid}.tmp`;
  await writeFile(unfinished, content);
  await rename(unfinished, path);
}

if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === process.argv[1]) {
  const asked = process.argv.slice(2).filter((argument) => argument !== '--force');
  const names = allPrograms().filter((name) => asked.length === 0 || asked.includes(name));
  const unknown = asked.filter((name) => !(name in programs));
  if (unknown.length > 0) {
    console.error(`no such program: ${unknown.join(', ')} (there are ${allPrograms().join(', ')})`);
    process.exit(2);
  }
  try {
    const built = await ensureBundles(names, { force: process.argv.includes('--force') });
    for (const name of names) {
      const { entry, out } = programs[name];
      if (!existsSync(`${rootDir}/${entry}`)) continue;
      console.log(
        `${built.includes(name) ? 'built' : 'fresh'}  ${relative(process.cwd(), `${rootDir}/${out}`)}`,
      );
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
