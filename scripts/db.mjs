import { spawnSync } from 'node:child_process';
import { ensureBundles } from './bundle.mjs';
import { rootDir } from './lib/paths.mjs';

// Runs the database program with the same arguments, after making sure that it is built:
// `node scripts/db.mjs migrate`, `… start --home DIR`, `… stop --home DIR`.
await ensureBundles(['db']);
const result = spawnSync(process.execPath, [`${rootDir}/db/dist/cli.mjs`, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
process.exitCode = result.status ?? 1;
