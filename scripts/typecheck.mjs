import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rootDir } from './lib/paths.mjs';
import { runCommand } from './lib/run-command.mjs';

/**
 * Type-checks the dashboard, every workspace, the tests and these scripts: each folder with a
 * tsconfig.json, two at a time (a check takes about 1.5 s and 200 MB).
 *
 * Usage: node scripts/typecheck.mjs
 *
 * @param {(project: string, problems: string) => void} onResult `problems` is empty when it is fine.
 * @returns {Promise<{ checked: number, failed: number }>}
 */
export async function typecheckAll(onResult) {
  const queue = projects();
  let failed = 0;
  let checked = 0;
  const work = async () => {
    for (let project = queue.shift(); project !== undefined; project = queue.shift()) {
      const result = await runCommand(
        process.execPath,
        ['node_modules/typescript/bin/tsc', '--noEmit', '-p', project],
        {
          cwd: rootDir,
          deadlineSeconds: 300,
        },
      );
      checked += 1;
      if (!result.ok) failed += 1;
      onResult(project, result.ok ? '' : result.stdout || result.tail);
    }
  };
  await Promise.all([work(), work()]);
  return { checked, failed };
}

/** Paths of the tsconfig.json files, relative to the root. */
function projects() {
  const { workspaces } = JSON.parse(readFileSync(`${rootDir}/package.json`, 'utf8'));
  const folders = ['.', 'tests', 'scripts'];
  for (const pattern of workspaces) {
    if (!pattern.endsWith('/*')) folders.push(pattern);
    else {
      const parent = pattern.slice(0, -2);
      for (const name of readdirSync(`${rootDir}/${parent}`)) folders.push(`${parent}/${name}`);
    }
  }
  return folders
    .map((folder) => `${folder}/tsconfig.json`)
    .filter((path) => existsSync(`${rootDir}/${path}`));
}

if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === process.argv[1]) {
  const { checked, failed } = await typecheckAll((project, problems) => {
    console.log(problems === '' ? `ok    ${project}` : `FAIL  ${project}\n${problems}`);
  });
  console.log(`${checked - failed} of ${checked} projects are free of type errors`);
  process.exitCode = failed > 0 || checked === 0 ? 1 : 0;
}
