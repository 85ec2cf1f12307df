import { type ChildProcess, fork, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '@computefabric/db/embedded-postgres';
import { bundleSeedWorker } from './bundle.ts';
import { mutants } from './mutants.ts';
import type { SeedResult } from './run-seed.ts';

/*
 * npm run simulate -- --seeds 10000 [--from 1] [--minutes 60] [--workers 2] [--failures 5]
 * npm run simulate -- --seed 1234 [--trace FILE]
 * Both: [--mutant NAME], a product with that fault in it.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));
/** A failing run shows this much of what came before. */
const traceLines = 50;
/** Of real time; a seed takes about a second, and on a machine that does much else a minute. */
const seedDeadlineMs = 600_000;

const memoryDirectory = '/dev/shm';
/** Bytes that the server of one worker may come to, its log of writes included, with as much to spare. */
const roomOfServer = 2 * 1024 ** 3;

const usage = `npm run simulate -- --seeds N [--from SEED] [--minutes M] [--workers K] [--failures F]
npm run simulate -- --seed SEED [--trace FILE]
with a fault in the product: --mutant ${Object.keys(mutants).join(' | ')}`;

interface Options {
  seeds: number[];
  workers: number;
  minutes: number;
  trace: string | null;
  mutant: string | null;
  /** Stop after so many. */
  failures: number;
}

async function simulate({
  seeds,
  workers,
  minutes,
  trace,
  mutant,
  failures: most,
}: Options): Promise<number> {
  const bundle = await bundleSeedWorker(root, mutant);
  const waiting = [...seeds];
  const results: SeedResult[] = [];
  const failures: SeedResult[] = [];
  const startedAt = Date.now();
  const stopAt = startedAt + minutes * 60_000;
  let asked = false;
  // The seeds under way are played to their end, so that the servers are stopped and removed.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (asked = true));
  const stop = () => asked || failures.length >= most || Date.now() > stopAt;
  const progress = setInterval(
    () => console.log(summary(results, failures, seeds.length, startedAt)),
    10_000,
  );
  try {
    await Promise.all(
      Array.from({ length: Math.min(workers, seeds.length) }, (_, index) =>
        withDatabase(async (url, serverPid) => {
          const worker = await SeedWorker.start(bundle, url);
          // Beside more workers than processors nothing is gained.
          if (workers <= availableParallelism()) await shareProcessor([serverPid, worker.pid], index);
          try {
            for (;;) {
              const seed = stop() ? undefined : waiting.shift();
              if (seed === undefined) return;
              const result = await worker.play(seed);
              results.push(result);
              if (trace !== null) await writeFile(trace, `${result.trace.join('\n')}\n`);
              if (result.violation !== null) {
                failures.push(result);
                show(result, mutant);
              }
            }
          } finally {
            worker.stop();
          }
        }),
      ),
    );
  } finally {
    clearInterval(progress);
    await rm(bundle, { force: true });
  }
  console.log(summary(results, failures, seeds.length, startedAt));
  console.log(`seen: ${whatWasSeen(results)}`);
  if (results.length < seeds.length && failures.length === 0)
    console.log(
      `${seeds.length - results.length} seeds were not played: the run was stopped, or its time was over`,
    );
  return failures.length > 0 || results.length === 0 ? 1 : 0;
}

/** A server for one process: what another one does at the same time must not show in any order of rows. */
async function withDatabase(work: (url: string, serverPid: number) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(await scratchDirectory(), 'computefabric-simulation-'));
  try {
    // Root's server runs as another user, who has to get in.
    await chmod(home, 0o755);
    const { url, dataDir } = await startEmbeddedPostgres({ home, fsync: false });
    await work(url, Number.parseInt(await readFile(join(dataDir, 'postmaster.pid'), 'utf8'), 10));
  } finally {
    await removeEmbeddedPostgres({ home });
    await rm(home, { recursive: true, force: true });
  }
}

/** In memory where there is room: emptying the tables makes and removes hundreds of files for each seed. */
async function scratchDirectory(): Promise<string> {
  try {
    const { bavail, bsize } = await statfs(memoryDirectory);
    if (bavail * bsize >= roomOfServer) return memoryDirectory;
  } catch {
    // No such directory: only Linux has it.
  }
  return tmpdir();
}

/**
 * Keeps a worker and its server on one processor, where the system can (Linux with util-linux): they take turns, and
 * waking a process on another processor costs more than what most statements do. 90 seeds took 35 s instead of 41.
 */
async function shareProcessor(pids: readonly (number | undefined)[], processor: number): Promise<void> {
  for (const pid of pids) {
    const asked = spawn('taskset', ['--all-tasks', '--pid', '--cpu-list', String(processor), String(pid)], {
      stdio: 'ignore',
    });
    // Without it all is as it was, and slower.
    await new Promise<void>((resolve) => asked.once('error', () => resolve()).once('close', () => resolve()));
  }
}

class SeedWorker {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(bundle: string, url: string): Promise<SeedWorker> {
    const child = fork(bundle, [url], {
      execArgv: ['--enable-source-maps'],
      cwd: root,
      serialization: 'advanced',
    });
    const worker = new SeedWorker(child);
    await worker.#next(60_000);
    return worker;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async play(seed: number): Promise<SeedResult> {
    this.#child.send(seed);
    return await this.#next<SeedResult>(seedDeadlineMs).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
    });
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  #next<T>(deadlineMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const over = setTimeout(() => end(() => reject(new Error('no answer in time'))), deadlineMs);
      const heard = (message: T) => end(() => resolve(message));
      const left = () => end(() => reject(new Error('the process ended')));
      const end = (then: () => void) => {
        clearTimeout(over);
        this.#child.off('message', heard);
        this.#child.off('exit', left);
        then();
      };
      this.#child.on('message', heard);
      this.#child.on('exit', left);
    });
  }
}

function show({ seed, steps, violation, trace }: SeedResult, mutant: string | null): void {
  console.log(`\nseed ${seed} failed at step ${steps}`);
  console.log(`  violated: ${violation?.rule}`);
  console.log(`  ${violation?.detail}`);
  console.log(`  the last ${Math.min(traceLines, trace.length)} of ${trace.length} lines:`);
  for (const line of trace.slice(-traceLines)) console.log(`    ${line}`);
  const withMutant = mutant === null ? '' : ` --mutant ${mutant}`;
  console.log(`  again: npm run simulate -- --seed ${seed}${withMutant}\n`);
}

/** A run that never meets something proves nothing of it. */
function whatWasSeen(results: readonly SeedResult[]): string {
  const total = new Map<string, number>();
  for (const { seen } of results)
    for (const [what, count] of Object.entries(seen)) total.set(what, (total.get(what) ?? 0) + count);
  return [...total]
    .toSorted(([, a], [, b]) => b - a)
    .map(([what, count]) => `${what} ${count}`)
    .join(', ');
}

function summary(
  results: readonly SeedResult[],
  failures: readonly SeedResult[],
  wanted: number,
  startedAt: number,
): string {
  const seconds = (Date.now() - startedAt) / 1_000;
  const total = (of: (result: SeedResult) => number) => results.reduce((sum, result) => sum + of(result), 0);
  return [
    `${results.length} of ${wanted} seeds, ${failures.length} failed`,
    `${total(({ jobs }) => jobs)} jobs, ${total(({ tries }) => tries)} tries, ${total(({ statements }) => statements)} statements`,
    `${seconds.toFixed(0)} s, ${(results.length / seconds).toFixed(2)} seeds/s`,
  ].join(' · ');
}

function readOptions(): Options | null {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string' },
        seeds: { type: 'string' },
        from: { type: 'string', default: '1' },
        minutes: { type: 'string', default: '600' },
        workers: { type: 'string', default: '2' },
        trace: { type: 'string' },
        mutant: { type: 'string' },
        // Many failures of one cause say no more than a few.
        failures: { type: 'string', default: '5' },
      },
    });
    const one = values.seed === undefined ? null : Number(values.seed);
    const count = Number(values.seeds ?? '1');
    const from = one ?? Number(values.from);
    const workers = Number(values.workers);
    const minutes = Number(values.minutes);
    const failures = Number(values.failures);
    const numbers = [count, from, workers, failures];
    if ((one === null) === (values.seeds === undefined)) return null;
    if (!numbers.every((number) => Number.isSafeInteger(number) && number > 0) || !(minutes > 0)) return null;
    if (values.mutant !== undefined && !(values.mutant in mutants)) return null;
    if (values.trace !== undefined && one === null) return null;
    return {
      seeds: Array.from({ length: one === null ? count : 1 }, (_, index) => from + index),
      workers,
      minutes,
      trace: values.trace ?? null,
      mutant: values.mutant ?? null,
      failures,
    };
  } catch {
    return null; // an option that does not exist; the usage says which do
  }
}

// Last, so that everything above exists.
const options = readOptions();
if (options === null) {
  console.error(usage);
  process.exit(2);
}
process.exitCode = await simulate(options);
