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
import { wholeSystem, type WholeSystemResult } from './whole-system.ts';

const usage =
  'npm run bench -- dispatch [--queued 1000,100000,1000000] [--machines 1000,10000] [--rounds 5] [--agents 1000,10000] ' +
  '[--rate 500] [--part matcher,system] [--json FILE]';

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
      agents: { type: 'string', default: '1000,10000' },
      rate: { type: 'string', default: '500' },
      part: { type: 'string', default: 'matcher,system' },
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
    const parts = values.part.split(',');
    const systems: WholeSystemResult[] = [];
    for (const machines of parts.includes('matcher') ? numbers(values.machines) : []) {
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
    for (const agents of parts.includes('system') ? numbers(values.agents) : []) {
      for (const queued of numbers(values.queued)) {
        systems.push(
          await onFreshDatabase(url, (databaseUrl) =>
            measureSystem(databaseUrl, home, { agents, queued, offeredPerSecond: Number(values.rate) }),
          ),
        );
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
    printTable(
      [
        'whole system, HTTP',
        'accepted/s',
        'failed calls',
        'leased ms p50 / p99',
        'accepted ms p50 / p99',
        'CPU ms/job',
        'MiB',
        'CPU of idle machines',
      ],
      systems.map((row) => [
        `${row.queued} queued, ${row.agents} agents`,
        String(Math.round(row.acceptedPerSecond)),
        String(row.failedCalls),
        `${row.atRate.leasedMs.p50.toFixed(1)} / ${row.atRate.leasedMs.p99.toFixed(1)}`,
        `${row.atRate.acceptedMs.p50.toFixed(1)} / ${row.atRate.acceptedMs.p99.toFixed(1)}`,
        row.cpuMsPerJob.toFixed(2),
        String(row.residentMib),
        `${row.idleCpuPercent.toFixed(0)} %`,
      ]),
    );
    if (values.json)
      writeJson(values.json, { ...measuredOn(), matcher: results, system: systems, plainQueue: references });
  } finally {
    await stopEmbeddedPostgres({ home });
    await rm(home, { recursive: true, force: true });
  }
}

async function measureSystem(
  url: string,
  home: string,
  options: { agents: number; queued: number; offeredPerSecond: number },
): Promise<WholeSystemResult> {
  await migrateDatabase(url);
  const { db, close } = createDb(url, { poolSize: 8, applicationName: 'computefabric-bench' });
  try {
    return await wholeSystem({
      ...options,
      databaseUrl: url,
      db,
      home,
      port: 4_900 + Math.floor(Math.random() * 90),
    });
  } finally {
    await close();
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
