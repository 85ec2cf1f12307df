import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDb, type Db } from '@computefabric/db/client';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '@computefabric/db/embedded-postgres';
import { migrateDatabase } from '@computefabric/db/migrate';
import { users } from '@computefabric/db/schema/users';
import { type AccountId, type JobId, type LeaseId, newId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { auditLedger } from '../../orchestrator/src/ledger/audit.store.ts';
import { marketAccount, userAccount } from '../../orchestrator/src/ledger/chart.ts';
import { postTransfers, type Transfer } from '../../orchestrator/src/ledger/post-transfers.ts';
import { measuredOn, printTable, writeJson } from '../report.ts';
import { plainInserts } from './plain-inserts.ts';

const usage =
  'npm run bench -- ledger [--batches 1,10,100,1000] [--seconds 4] [--clients 8,8,2,2] [--renters 1000] [--json FILE]';

interface Figure {
  what: string;
  batch: number;
  clients: number;
  transfersPerSecond: number;
  floorPerSecond: number;
}

/**
 * Transfers a second with durable commits: the very `postTransfers` that everything which moves money goes through,
 * so many in a transaction, beside plain inserts of rows of the same size on the same database.
 */
export async function ledgerBench(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      batches: { type: 'string', default: '1,10,100,1000' },
      seconds: { type: 'string', default: '4' },
      clients: { type: 'string', default: '8,8,2,2' },
      renters: { type: 'string', default: '1000' },
      json: { type: 'string' },
    },
  });
  const batches = values.batches.split(',').map(Number);
  const clientsOf = values.clients.split(',').map(Number);
  const [seconds, renters] = [values.seconds, values.renters].map(Number);
  if (!seconds || !renters || ![...batches, ...clientsOf].every((n) => n > 0)) throw new Error(usage);
  const home = await mkdtemp(join(tmpdir(), 'computefabric-bench-'));
  await chmod(home, 0o755); // root's server runs as another user
  const { url } = await startEmbeddedPostgres({ home });
  const { db, pool, close } = createDb(url, { poolSize: Math.max(...clientsOf) });
  try {
    await migrateDatabase(url);
    const books = await openBooks(db, renters);
    const figures: Figure[] = [];
    for (const [index, batch] of batches.entries()) {
      const clients = clientsOf[index] ?? clientsOf.at(-1) ?? 1;
      // Before and after, because a machine with other work on it changes its speed: the mean is the floor.
      const before = await plainInserts(pool, { batch, clients, seconds: seconds / 2 });
      const spread = await hold(db, books, { batch, clients, seconds, hot: false });
      const hot = await hold(db, books, { batch, clients, seconds, hot: true });
      const settled = await settle(db, books, { batch, clients, seconds });
      const after = await plainInserts(pool, { batch, clients, seconds: seconds / 2 });
      const floorPerSecond = (before + after) / 2;
      for (const [what, transfersPerSecond] of [
        [`holds of ${renters} renters`, spread],
        ['holds of one renter', hot],
        [`earn, fee, release of ${renters} renters`, settled],
      ] as const) {
        figures.push({ what, batch, clients, transfersPerSecond, floorPerSecond });
      }
      console.log(`batches of ${batch}: done`);
    }
    const findings = await auditLedger(db);
    invariant(
      !findings.some(({ rule }) => ['totals', 'balanced', 'floor'].includes(rule)), // there are no jobs behind it
      `the books are wrong: ${JSON.stringify(findings[0])}`,
    );
    printTable(
      ['transfers', 'in one transaction', 'clients', 'per second', 'plain inserts', 'share of them'],
      figures.map(({ what, batch, clients, transfersPerSecond, floorPerSecond }) => [
        what,
        String(batch),
        String(clients),
        String(Math.round(transfersPerSecond)),
        String(Math.round(floorPerSecond)),
        `${Math.round((100 * transfersPerSecond) / floorPerSecond)} %`,
      ]),
    );
    if (values.json) writeJson(values.json, { ...measuredOn(), figures });
  } finally {
    await close();
    await removeEmbeddedPostgres({ home });
    await rm(home, { recursive: true, force: true });
  }
}

interface Books {
  renters: { available: AccountId; held: AccountId }[];
  payable: AccountId[];
  fees: AccountId;
  /** Holds that were placed and not settled. */
  open: { jobId: JobId; renter: number }[];
}

async function openBooks(db: Db, count: number): Promise<Books> {
  return await db.transaction(async (tx) => {
    const ids = Array.from({ length: count }, () => newId('user'));
    await tx.insert(users).values(ids.map((id) => ({ id, email: `${id}@bench.invalid` })));
    const promotions = await marketAccount(tx, 'promotions');
    const books: Books = {
      renters: [],
      payable: [],
      fees: await marketAccount(tx, 'platform_fees'),
      open: [],
    };
    for (const id of ids) {
      const available = await userAccount(tx, 'renter_available', id);
      books.renters.push({ available, held: await userAccount(tx, 'renter_held', id) });
      books.payable.push(await userAccount(tx, 'provider_payable', id));
    }
    const amountMicros = 10n ** 14n;
    const gift = (to: AccountId): Transfer => {
      return { id: `grant:${to}:bench`, kind: 'grant', from: promotions, to, amountMicros };
    };
    const grants = books.renters.map(({ available }) => gift(available));
    await postTransfers(tx, grants);
    return books;
  });
}

interface Load {
  batch: number;
  clients: number;
  seconds: number;
}

const hundredMicros = 100n;

async function hold(db: Db, books: Books, load: Load & { hot: boolean }): Promise<number> {
  let next = 0;
  return await perSecond(load, async () => {
    const jobs = Array.from({ length: load.batch }, () => {
      next += 1;
      return { jobId: newId('job'), renter: load.hot ? 0 : (next * 7_919) % books.renters.length };
    });
    await post(
      db,
      jobs.map(({ jobId, renter }) => {
        const accounts = books.renters[renter];
        invariant(accounts, 'a renter has accounts');
        const { available: from, held: to } = accounts;
        return { id: `hold:${jobId}`, kind: 'hold', from, to, amountMicros: hundredMicros, jobId };
      }),
    );
    if (!load.hot) books.open.push(...jobs);
    return load.batch;
  });
}

/** Three transfers for each job, as many jobs as fit a batch. */
async function settle(db: Db, books: Books, load: Load): Promise<number> {
  const jobsAtOnce = Math.max(1, Math.floor(load.batch / 3));
  return await perSecond(load, async () => {
    const jobs = books.open.splice(-jobsAtOnce);
    if (jobs.length === 0) return 0;
    await post(
      db,
      jobs.flatMap(({ jobId, renter }): Transfer[] => {
        const [accounts, payable] = [
          books.renters[renter],
          books.payable[(renter * 31) % books.payable.length],
        ];
        invariant(accounts && payable, 'a renter and an owner have accounts');
        const leaseId: LeaseId = newId('lease');
        const { held: from, available } = accounts;
        const ids = `${jobId}:${leaseId}`;
        return [
          { id: `earn:${ids}`, kind: 'earn', from, to: payable, amountMicros: 60n, jobId, leaseId },
          { id: `fee:${ids}`, kind: 'fee', from, to: books.fees, amountMicros: 5n, jobId, leaseId },
          { id: `release:${jobId}`, kind: 'release', from, to: available, amountMicros: 35n, jobId },
        ];
      }),
    );
    return jobs.length * 3;
  });
}

async function post(db: Db, transfers: Transfer[]): Promise<void> {
  await db.transaction(async (tx) => await postTransfers(tx, transfers));
}

/** How many a second, with so many clients at once. `work` says how many it did; 0 ends a client. */
async function perSecond({ clients, seconds }: Load, work: () => Promise<number>): Promise<number> {
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;
  let done = 0;
  const client = async () => {
    while (performance.now() < endsAt) {
      const some = await work();
      if (some === 0) return;
      done += some;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return (done * 1_000) / (performance.now() - startedAt);
}
