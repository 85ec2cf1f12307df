import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDb } from '@computefabric/db/client';
import { startEmbeddedPostgres, stopEmbeddedPostgres } from '@computefabric/db/embedded-postgres';
import { migrateDatabase } from '@computefabric/db/migrate';
import pg from 'pg';
import { measuredOn, printTable, writeJson } from '../report.ts';
import { claimQueue } from './claim-queue.ts';
import { matcherRounds, type RoundsResult } from './matcher-rounds.ts';
import { fillMachines } from './synthetic-market.ts';

const usage =
  'npm run bench -- dispatch [--queued 1000,100000,1000000] [--machines 1000,10000] [--rounds 5] [--json FILE]';

/**
 * How many jobs a second go from queued to leased, with durable commits, beside what a plain queue reaches on
 * the same database in the same run.
 */
export async function dispatchBench(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      queued: { type: 'string', default: '1000,100000,1000000' },
      machines: { type: 'string', default: '1000,10000' },
      rounds: { type: 'string', default: '5' },
      json: { type: 'string' },
    },
  });
  const numbers = (text: string) => text.split(',').map(Number);
  if ([...numbers(values.queued), ...numbers(values.machines)].some((n) => !(n > 0))) throw new Error(usage);
  const home = await mkdtemp(join(tmpdir(), 'computefabric-bench-'));
  await chmod(home, 0o755); // root's server runs as another user
  const { url } = await startEmbeddedPostgres({ home });
  try {
    const results: RoundsResult[] = [];
    const references: { batch: number; jobsPerSecond: number }[] = [];
    for (const machines of numbers(values.machines)) {
      for (const queued of numbers(values.queued)) {
        results.push(
          await onFreshDatabase(url, (databaseUrl) =>
            measure(databaseUrl, queued, machines, Number(values.rounds)),
          ),
        );
        const [last] = results.slice(-1);
        if (last)
          console.log(`${queued} queued, ${machines} machines: ${Math.round(last.leasesPerSecond)} leases/s`);
      }
    }
    const pool = new pg.Pool({ connectionString: url, max: 8 });
    for (const batch of [1, 10, 100]) {
      const jobs = batch === 1 ? 4_000 : 40_000;
      references.push({ batch, jobsPerSecond: await claimQueue(pool, { jobs, clients: 8, batch }) });
    }
    await pool.end();
    const one = references[0]?.jobsPerSecond ?? Number.NaN;
    printTable(
      ['queued → leased', 'leases', 'per second', '× claim per transaction', 'first pass s'],
      results.map((row) => [
        `${row.queued} queued, ${row.machines} machines`,
        String(row.leases),
        String(Math.round(row.leasesPerSecond)),
        (row.leasesPerSecond / one).toFixed(1),
        (row.firstPassMs / 1_000).toFixed(2),
      ]),
    );
    printTable(
      ['plain queue, SKIP LOCKED, 8 clients', 'per second'],
      references.map(({ batch, jobsPerSecond }) => [`batch ${batch}`, String(Math.round(jobsPerSecond))]),
    );
    if (values.json) writeJson(values.json, { ...measuredOn(), matcher: results, plainQueue: references });
  } finally {
    await stopEmbeddedPostgres({ home });
    await rm(home, { recursive: true, force: true });
  }
}

async function measure(url: string, queued: number, machines: number, rounds: number): Promise<RoundsResult> {
  await migrateDatabase(url);
  const { db, close } = createDb(url, { poolSize: 8, applicationName: 'computefabric-bench' });
  try {
    await fillMachines(db, machines);
    return await matcherRounds(db, { queued, machines, rounds });
  } finally {
    await close();
  }
}

async function onFreshDatabase<T>(serverUrl: string, work: (url: string) => Promise<T>): Promise<T> {
  const name = `bench_${Date.now()}`;
  const admin = new pg.Client({ connectionString: serverUrl });
  await admin.connect();
  await admin.query(`create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  try {
    return await work(url.href);
  } finally {
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  }
}
