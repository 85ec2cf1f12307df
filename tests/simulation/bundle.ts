import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { mutants } from './mutants.ts';

/**
 * Bundles the part that plays seeds, with a mutant of the product inside when one is named.
 *
 * @returns the file that a Node process runs
 * @throws Error when there is no such mutant, or when an edit of it no longer applies.
 */
export async function bundleSeedWorker(root: string, mutant: string | null): Promise<string> {
  const folder = join(root, 'node_modules/.cache/computefabric-simulation');
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `seed-worker-${process.pid}.mjs`);
  await build({
    absWorkingDir: root,
    entryPoints: ['tests/simulation/seed-worker.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'silent',
    plugins: [onlyOurOwn, ...(mutant === null ? [] : [mutate(root, mutant)])],
  });
  return outfile;
}

/** Packages of others stay outside. */
const onlyOurOwn: Plugin = {
  name: 'only-our-own',
  setup(building) {
    building.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || path.startsWith('@computefabric/') ? undefined : { path, external: true },
    );
  },
};

function mutate(root: string, name: string): Plugin {
  const edits = mutants[name];
  if (!edits) throw new Error(`There is no mutant ${name}; there are ${Object.keys(mutants).join(', ')}.`);
  return {
    name: 'mutate',
    setup(building) {
      const used = new Set<string>();
      building.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const own = edits.filter(({ file }) => path === join(root, file));
        if (own.length === 0) return undefined;
        let contents = readFileSync(path, 'utf8');
        for (const { file, find, put } of own) {
          if (!contents.includes(find)) throw new Error(`the mutant ${name} finds no "${find}" in ${file}`);
          contents = contents.replaceAll(find, put);
          used.add(file);
        }
        return { contents, loader: 'ts' };
      });
      building.onEnd(({ errors }) => {
        const unused = edits.filter(({ file }) => !used.has(file));
        if (errors.length === 0 && unused.length > 0)
          throw new Error(`the mutant ${name} changes files that are not part of the simulation`);
      });
    },
  };
}
