import { ledgerBench } from './ledger/ledger-bench.ts';
import { latencyBench } from './latency/latency-bench.ts';
import { dispatchBench } from './dispatch/dispatch-bench.ts';
import { packingBench } from './packing/packing-bench.ts';
import { recoveryBench } from './recovery/recovery-bench.ts';

/** Every benchmark by name. Each takes the arguments that follow its name and rejects with a sentence for people. */
const benches: Record<string, (args: string[]) => Promise<void>> = {
  latency: latencyBench,
  packing: packingBench,
  recovery: recoveryBench,
  dispatch: dispatchBench,
  ledger: ledgerBench,
};

const [name, ...args] = process.argv.slice(2);
const bench = name === undefined ? undefined : benches[name];
if (bench) {
  await bench(args).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  });
} else {
  const asked = name === undefined ? 'Say which benchmark to run' : `There is no benchmark named "${name}"`;
  console.error(
    `${asked}: npm run bench -- NAME [options], where NAME is ${Object.keys(benches).join(', ')}.`,
  );
  process.exitCode = 2;
}
