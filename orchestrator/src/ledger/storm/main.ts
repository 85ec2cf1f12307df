import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '@computefabric/db/embedded-postgres';
import { migrateDatabase } from '@computefabric/db/migrate';
import { runStorm } from './run-storm.ts';

/*
 * npm run ledger:storm -- [--operations 1000000] [--seed 1] [--workers 8]
 *
 * On a database of its own, which is removed afterwards. Ends with 1 and every fault when the books are wrong.
 */

const say = (line: string) => process.stdout.write(`${line}\n`);
const progressMs = 10_000;

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '8' },
  },
});
const [operations, seed, workers] = [values.operations, values.seed, values.workers].map(Number);
if (!operations || !seed || !workers)
  throw new Error('--operations, --seed and --workers take numbers above 0');
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
const home = await mkdtemp(join(tmpdir(), 'computefabric-storm-'));
await chmod(home, 0o755); // root's server runs as another user
try {
  const { url } = await startEmbeddedPostgres({ home });
  await migrateDatabase(url);
  const startedAt = performance.now();
  let told = startedAt;
  const { faults, ...figures } = await runStorm(url, {
    operations,
    seed,
    workers,
    signal: stop.signal,
    onProgress: (done) => {
      if (performance.now() - told < progressMs) return;
      told = performance.now();
      say(`${done} of ${operations} operations`);
    },
  });
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  for (const [name, number] of Object.entries(figures)) say(`${name.padEnd(12)} ${number}`);
  say(`${'seconds'.padEnd(12)} ${seconds}`);
  for (const fault of faults.slice(0, 100)) say(`WRONG ${fault}`);
  say(
    faults.length === 0
      ? 'The books are exactly what they must be.'
      : `${faults.length} faults (seed ${seed})`,
  );
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  await removeEmbeddedPostgres({ home });
  await rm(home, { recursive: true, force: true });
}
