import { type ChildProcess, execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Db } from '@computefabric/db/client';
import { sql } from 'drizzle-orm';
import { quantile } from '../report.ts';
import { type AgentsNews, type AgentsOrder, benchSecretHash } from './simulated-agents.ts';
import { fillJobs, fillMachines, gpusPerMachine } from './synthetic-market.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const agentsProgram = fileURLToPath(new URL('./simulated-agents.ts', import.meta.url));

const heartbeatSeconds = 10;

export interface WholeSystemResult {
  agents: number;
  queued: number;
  /** Jobs accepted by agents. */
  accepted: number;
  acceptedPerSecond: number;
  failedCalls: number;
  /** Queued to leased (the offer written) and to accepted, at the offered rate. */
  atRate: {
    perSecond: number;
    leasedMs: { p50: number; p99: number };
    acceptedMs: { p50: number; p99: number };
  };
  /** Processor time of the orchestrator alone for each accepted job, ms: says more than the rate on a shared machine. */
  cpuMsPerJob: number;
  /** The orchestrator's resident memory with all agents connected and their hearts beating, MiB. */
  residentMib: number;
  /** Processor time that takes it, per cent of a core. */
  idleCpuPercent: number;
}

interface Options {
  databaseUrl: string;
  db: Db;
  home: string;
  port: number;
  agents: number;
  queued: number;
  offeredPerSecond: number;
}

/**
 * The orchestrator as people start it, and so many machines over real HTTP in a process of their own. Jobs are
 * put into the queue by one statement; from there on everything is as in production.
 */
export async function wholeSystem(options: Options): Promise<WholeSystemResult> {
  const { db, agents, queued } = options;
  await fillMachines(db, agents);
  await db.execute(sql`update providers set credential_hash = ${benchSecretHash}, session = 1,
    last_seen_at = now() - interval '10 minutes'`);
  const { rows } = await db.execute<{ id: string }>(sql`select id from providers order by id`);
  const market = await startOrchestrator(options);
  const heard: { jobId: string; atMs: number }[] = [];
  let failedCalls = 0;
  const machines = fork(agentsProgram, { execArgv: ['--import', 'tsx'], cwd: root });
  try {
    // Each machine has two sockets: one for its poll and one for its heart.
    await Promise.all([market.child, machines].map((child) => allowFiles(child, 2 * agents + 2_000)));
    machines.on('message', (news: AgentsNews) => {
      if (news.kind === 'connected') return;
      failedCalls += news.failed;
      for (const jobId of news.jobIds) heard.push({ jobId, atMs: news.atMs });
    });
    const order: AgentsOrder = {
      url: market.url,
      providerIds: rows.map(({ id }) => id),
      heartbeatSeconds,
      finish: false,
    };
    machines.send(order);
    await untilConnected(db, agents);
    await sleep(heartbeatSeconds * 1_100); // until every heart has beaten
    const idleCpuBefore = await cpuMsOf(market.child);
    await sleep(heartbeatSeconds * 1_000);
    const idleCpuPercent = ((await cpuMsOf(market.child)) - idleCpuBefore) / (heartbeatSeconds * 10);
    const residentMib = await residentMibOf(market.child);

    // Latency first, on a market with room, and few enough that the machines do not fill up.
    const seconds = 6;
    const paced = Math.min(options.offeredPerSecond * seconds, Math.floor((agents * gpusPerMachine) / 3));
    await offerJobs(db, 1, paced, options.offeredPerSecond);
    await untilHeard(heard, paced);
    const { rows: waits } = await db.execute<{ leased: number; accepted: number }>(sql`
      select extract(epoch from l.offered_at - j.queued_at)::float8 * 1000 as leased,
        extract(epoch from l.accepted_at - j.queued_at)::float8 * 1000 as accepted
      from jobs j join leases l on l.job_id = j.id where l.accepted_at is not null`);

    const slots = agents * gpusPerMachine - paced;
    const jobs = Math.min(queued, slots, 20_000);
    heard.length = 0;
    await fillJobs(db, 1_000_000, queued);
    const cpuBefore = await cpuMsOf(market.child);
    const startedAt = performance.now();
    await db.execute(sql`select pg_notify('cf_queue', '')`);
    await untilHeard(heard, jobs);
    const elapsed = (performance.now() - startedAt) / 1_000;
    const both = (of: (row: { leased: number; accepted: number }) => number) => ({
      p50: quantile(waits.map(of), 0.5),
      p99: quantile(waits.map(of), 0.99),
    });
    return {
      agents,
      queued,
      accepted: jobs,
      acceptedPerSecond: jobs / elapsed,
      failedCalls,
      atRate: {
        perSecond: options.offeredPerSecond,
        leasedMs: both((row) => row.leased),
        acceptedMs: both((row) => row.accepted),
      },
      cpuMsPerJob: ((await cpuMsOf(market.child)) - cpuBefore) / jobs,
      residentMib,
      idleCpuPercent,
    };
  } finally {
    machines.kill('SIGKILL');
    market.child.kill('SIGKILL');
    await Promise.all([once(market.child, 'close'), machines.exitCode === null && once(machines, 'close')]);
  }
}

/** Jobs at an even rate, a few times a second as many as fall due; each with its own line of the change feed. */
async function offerJobs(db: Db, first: number, count: number, perSecond: number): Promise<void> {
  const startedAt = performance.now();
  let offered = 0;
  while (offered < count) {
    const due = Math.min(count, Math.ceil(((performance.now() - startedAt) / 1_000) * perSecond)) - offered;
    if (due > 0) {
      await db.transaction(async (tx) => {
        const ids = await fillJobs(tx, first + offered, due);
        await tx.execute(sql`select pg_notify('cf_queue', id) from unnest(${sql.param(ids)}::text[]) id`);
      });
      offered += due;
    }
    await sleep(2);
  }
}

async function startOrchestrator({
  databaseUrl,
  home,
  port,
}: Options): Promise<{ child: ChildProcess; url: string }> {
  const build = spawn(process.execPath, ['scripts/bundle.mjs', 'orchestrator'], {
    cwd: root,
    stdio: 'inherit',
  });
  await once(build, 'close');
  const child = spawn(process.execPath, ['orchestrator/dist/main.mjs'], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      NODE_ENV: 'production',
      DATABASE_URL: databaseUrl,
      COMPUTEFABRIC_HOME: home,
      ORCHESTRATOR_PORT: String(port),
      LEASE_OFFER_SECONDS: '300',
      LEASE_TTL_SECONDS: '3600',
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; ; attempt += 1) {
    const ready = await fetch(`${url}/readyz`).catch(() => null);
    if (ready?.status === 200) return { child, url };
    if (attempt > 1_200 || child.exitCode !== null) throw new Error('the orchestrator did not start');
    await sleep(100);
  }
}

/** Raises a process's limit of open files to so many, where it is lower; only root may. */
async function allowFiles(child: ChildProcess, files: number): Promise<void> {
  const limits = await readFile(`/proc/${child.pid}/limits`, 'utf8');
  if (Number(/Max open files\s+(\d+)/.exec(limits)?.[1]) >= files) return;
  await promisify(execFile)('prlimit', ['--pid', String(child.pid), `--nofile=${files}:${files}`]);
}

/** Until every machine has asked for offers once. */
async function untilConnected(db: Db, agents: number): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const { rows } = await db.execute<{ seen: number }>(
      sql`select count(*)::int as seen from providers where last_seen_at > now() - interval '5 minutes'`,
    );
    if ((rows[0]?.seen ?? 0) >= agents) return;
    if (attempt > 1_200) throw new Error(`${rows[0]?.seen} of ${agents} machines are connected`);
    await sleep(200);
  }
}

async function untilHeard(heard: readonly unknown[], count: number): Promise<void> {
  let last = -1;
  let still = 0;
  while (heard.length < count) {
    still = heard.length === last ? still + 1 : 0;
    last = heard.length;
    if (still > 1_500) throw new Error(`${heard.length} of ${count} jobs were accepted, and then no more`);
    await sleep(20);
  }
}

async function residentMibOf(child: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024);
}

/** User and system time, in the kernel's ticks of 10 ms. */
async function cpuMsOf(child: ChildProcess): Promise<number> {
  const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
