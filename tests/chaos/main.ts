import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../journeys/program.ts';
import { canMount } from './chaos-market.ts';
import { type ChaosOptions, type ChaosResult, runChaos } from './chaos-run.ts';
import { buildMutant, isMutant, type MutantName, mutants } from './mutants.ts';

const usage = `Runs the real market through a storm of kills and checks that nothing was lost and nothing is double.

  npm run chaos [-- options]

  --seed N           first seed (1)
  --seeds N          how many seeds, one after the other (1)
  --jobs N           jobs of a seed (2000)
  --kills N          kill -9 of a seed, on orchestrators, machines and the database (200)
  --minutes N        most that a seed may take (20)
  --orchestrators N  processes on one database (2)
  --providers N      machines, all on this engine (4)
  --lease-seconds N  lease time (6)
  --gap-ms N         mean time between two faults (1000)
  --mutant NAME      with a broken orchestrator: ${Object.keys(mutants).join(', ')} or all; must turn red
  --out FOLDER       where the histories go (.computefabric/chaos)`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2000' },
    kills: { type: 'string', default: '200' },
    minutes: { type: 'string', default: '20' },
    orchestrators: { type: 'string', default: '2' },
    providers: { type: 'string', default: '4' },
    'lease-seconds': { type: 'string', default: '6' },
    'gap-ms': { type: 'string', default: '1000' },
    mutant: { type: 'string' },
    out: { type: 'string', default: join(root, '.computefabric/chaos') },
    help: { type: 'boolean', default: false },
  },
});

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    console.log(`${name}: taking the market down`);
    stop.abort(new Error('The run was interrupted.'));
  });
}

if (values.help) console.log(usage);
else process.exitCode = (await main()) ? 0 : 1;

/** @returns whether all is well: no violation, or, of mutants, one in each. */
async function main(): Promise<boolean> {
  mkdirSync(values.out, { recursive: true });
  if (!canMount) console.log('Not root, or not allowed to mount: no disk is filled in this storm.');
  const { mutant } = values;
  if (mutant === 'all') {
    let killed = 0;
    const names = Object.keys(mutants).filter(isMutant);
    for (const name of names) {
      const result = await one(number('seed'), name);
      if (result.violations.length > 0) killed += 1;
    }
    console.log(`\n${killed} of ${names.length} mutants were found out.`);
    return killed === names.length;
  }
  if (mutant !== undefined && !isMutant(mutant))
    throw new Error(`There is no mutant "${mutant}".\n\n${usage}`);
  const results: ChaosResult[] = [];
  for (let seed = number('seed'); seed < number('seed') + number('seeds'); seed += 1)
    results.push(await one(seed, mutant));
  const broken = results.filter(({ violations }) => violations.length > 0);
  console.log(`\n${results.length - broken.length} of ${results.length} seeds are clean.`);
  return broken.length === 0;
}

async function one(seed: number, mutant?: MutantName): Promise<ChaosResult> {
  const historyFile = join(values.out, `seed-${seed}${mutant ? `-${mutant}` : ''}.jsonl`);
  console.log(`\nSeed ${seed}${mutant ? `, mutant "${mutant}": ${mutants[mutant].what}` : ''}`);
  const options: ChaosOptions = {
    seed,
    jobs: number('jobs'),
    kills: number('kills'),
    minutes: number('minutes'),
    orchestrators: number('orchestrators'),
    providers: number('providers'),
    leaseTtlSeconds: number('lease-seconds'),
    meanGapMs: number('gap-ms'),
    othersPerKill: 0.6,
    historyFile,
    signal: stop.signal,
    ...(mutant ? { orchestratorFile: await buildMutant(mutant) } : {}),
    say: (line) => console.log(`  ${line}`),
  };
  const result = await runChaos(options);
  printResult(result, historyFile);
  return result;
}

function printResult(result: ChaosResult, historyFile: string): void {
  const { kills, seconds } = result;
  const killed = Object.entries(kills).map(([what, times]) => `${what} ${times}`);
  console.log(`  kills: ${killed.join(', ')}; other faults: ${result.otherFaults}`);
  console.log(`  tries: ${result.tries}; stale reports refused: ${result.staleRefused}`);
  const ends = new Map<string, number>();
  for (const how of result.endedByThemselves) ends.set(how, (ends.get(how) ?? 0) + 1);
  for (const [how, times] of ends) console.log(`  ended by itself and was started again: ${how} × ${times}`);
  console.log(`  ${seconds.all} s, of which ${Math.round(seconds.storm)} s storm; history: ${historyFile}`);
  console.log(`  violations: ${result.violations.length}`);
  for (const { rule, subject, detail } of result.violations.slice(0, 20))
    console.log(`    ${rule}: ${subject}: ${detail}`);
  if (result.violations.length > 20) console.log(`    … and ${result.violations.length - 20} more`);
}

function number(name: Exclude<keyof typeof values, 'mutant' | 'out' | 'help'>): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} must be a whole number.\n\n${usage}`);
  return value;
}
