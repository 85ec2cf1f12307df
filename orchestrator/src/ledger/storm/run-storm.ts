import { createDb, type Db } from '@computefabric/db/client';
import { type AccountId, newId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { invariant, InvariantError } from '@computefabric/runtime/invariant';
import { isPassingFault } from '../../background/postgres-error.ts';
import { auditLedger } from '../audit.store.ts';
import { postTransfers } from '../post-transfers.ts';
import { backendOf, openAccounts, readBalances, terminate } from './storm.store.ts';
import { drawOperation, Model, type Move, nameOf, seeded } from './model.ts';

export interface StormOptions {
  seed: number;
  operations: number;
  workers: number;
  onProgress?: (done: number) => void;
  /** Ends it early; the books are compared all the same. */
  signal?: AbortSignal;
}

export interface StormResult {
  operations: number;
  transfers: number;
  batches: number;
  /** Transactions that were given up before their commit, cut off during it, or repeated after it. */
  rolledBack: number;
  cut: number;
  replayed: number;
  /** Batches that would have overspent an account and were refused. */
  refused: number;
  /** What must not be; empty when all is well. */
  faults: string[];
}

/** Owned by one worker each, so that it knows to the micro what must be in their accounts. */
const peoplePerWorker = 40;
const mostOperationsInBatch = 120;
/** In a row; a batch meets a crash in one of ten tries. */
const mostTries = 50;
/** Causes of the past that are posted once more. */
const remembered = 50;

/**
 * Random histories of money against a real database, with crashes at random points: transactions that are given up,
 * connections that are cut before, during and after the commit, and repeats of everything that may have happened or
 * not. Each worker keeps a model of its people's accounts; at the end the books must be exactly what the models say.
 */
export async function runStorm(databaseUrl: string, options: StormOptions): Promise<StormResult> {
  const connection = createDb(databaseUrl, { poolSize: options.workers, onConnectionError: () => {} });
  const admin = createDb(databaseUrl, { poolSize: 2 });
  const result: StormResult = {
    operations: 0,
    transfers: 0,
    batches: 0,
    rolledBack: 0,
    cut: 0,
    replayed: 0,
    refused: 0,
    faults: [],
  };
  try {
    const accounts = await openAccounts(admin.db, options.workers * peoplePerWorker);
    const ends = await Promise.allSettled(
      Array.from({ length: options.workers }, (_, worker) =>
        work({ db: connection.db, admin: admin.db, accounts, worker, options, result }),
      ),
    );
    // All have come to their end before anything is closed, also when one has failed.
    const models = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    await compare(admin.db, accounts, models, result.faults);
    for (const { rule, subject, detail } of await auditLedger(admin.db)) {
      // There are no jobs and no payments behind these holds.
      if (['totals', 'balanced', 'floor'].includes(rule)) result.faults.push(`${rule} ${subject}: ${detail}`);
    }
    return result;
  } finally {
    await connection.close();
    await admin.close();
  }
}

interface Work {
  db: Db;
  admin: Db;
  accounts: ReadonlyMap<string, AccountId>;
  worker: number;
  options: StormOptions;
  result: StormResult;
}

async function work({ db, admin, accounts, worker, options, result }: Work): Promise<Model> {
  const random = seeded(options.seed * 1_000 + worker);
  const people = Array.from({ length: peoplePerWorker }, (_, n) => worker * peoplePerWorker + n);
  const model = new Model();
  const past: Move[][] = [];
  while (result.operations < options.operations && result.faults.length === 0 && !options.signal?.aborted) {
    if (random() < 0.04) await overspend({ db, accounts, result }, model, random, people);
    const wanted = 1 + Math.floor(random() ** 2 * mostOperationsInBatch);
    const moves = Array.from({ length: wanted }, () => drawOperation(model, random, people)).flat();
    if (moves.length === 0) continue;
    await untilPosted({ db, admin, accounts, result }, moves, random);
    result.operations += wanted;
    result.transfers += moves.length;
    result.batches += 1;
    options.onProgress?.(result.operations);
    if (past.length < remembered) past.push(moves);
    else past[Math.floor(random() * remembered)] = moves;
    if (random() < 0.05) {
      const again = past[Math.floor(random() * past.length)];
      if (again) await post(db, accounts, again);
      result.replayed += 1;
    }
  }
  return model;
}

/** Posts a batch as somebody does who may die at any moment: again and again with the same causes. */
async function untilPosted(
  { db, admin, accounts, result }: Pick<Work, 'db' | 'admin' | 'accounts' | 'result'>,
  moves: readonly Move[],
  random: () => number,
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const fate = random();
    try {
      await db.transaction(async (tx) => {
        const cutAt = fate < 0.04 ? 'before' : fate < 0.08 ? 'about' : null;
        const pid = cutAt === null ? 0 : await backendOf(tx);
        const cut = async () => await terminate(admin, pid);
        await postTransfers(tx, toTransfers(accounts, moves));
        if (cutAt === 'before') await cut();
        // Without waiting: it hits the commit, or what comes shortly before or after it. A cut that fails is none.
        if (cutAt === 'about') void cut().catch(() => undefined);
        if (fate >= 0.08 && fate < 0.12) throw new GivenUp();
      });
    } catch (thrown) {
      if (thrown instanceof GivenUp) {
        result.rolledBack += 1;
        continue;
      }
      if (thrown instanceof AppError || thrown instanceof InvariantError) {
        result.faults.push(`what the model allows was refused: ${thrown.message}`);
        return;
      }
      if (tries === mostTries || !isPassingFault(thrown)) throw thrown;
      result.cut += 1; // the connection is gone, and nobody knows whether it was committed
      continue;
    }
    if (fate > 0.95) {
      result.replayed += 1; // the answer was lost
      await post(db, accounts, moves);
    }
    return;
  }
}

class GivenUp extends Error {}

/** More than somebody has, among things that are fine: none of it may happen. */
async function overspend(
  { db, accounts, result }: Pick<Work, 'db' | 'accounts' | 'result'>,
  model: Model,
  random: () => number,
  people: readonly number[],
): Promise<void> {
  const person = people[Math.floor(random() * people.length)] ?? 0;
  const [from, to] = [nameOf('renter_available', person), nameOf('renter_held', person)];
  const id = newId('job');
  const moves: Move[] = [
    { id: `grant:${id}`, kind: 'grant', from: 'promotions', to: from, amountMicros: 5n },
    { id: `hold:${id}`, kind: 'hold', from, to, amountMicros: model.balance(from) + 6n },
  ];
  invariant(model.overspends(moves), 'this is more than there is');
  try {
    await post(db, accounts, moves);
    result.faults.push(`${from} was overspent by ${id}`);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.details?.refused !== `hold:${id}`) throw thrown;
    result.refused += 1;
  }
}

/** Posts without a crash of its own; one that was meant for somebody else may hit it. */
async function post(db: Db, accounts: ReadonlyMap<string, AccountId>, moves: readonly Move[]): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await db.transaction(async (tx) => await postTransfers(tx, toTransfers(accounts, moves)));
      return;
    } catch (thrown) {
      if (tries === mostTries || !isPassingFault(thrown)) throw thrown;
    }
  }
}

function toTransfers(accounts: ReadonlyMap<string, AccountId>, moves: readonly Move[]) {
  const idOf = (name: string) => {
    const id = accounts.get(name);
    invariant(id, `${name} is an account`);
    return id;
  };
  return moves.map(({ from, to, ...rest }) => ({ ...rest, from: idOf(from), to: idOf(to) }));
}

/** The books against the sum of all models, account by account. */
async function compare(
  db: Db,
  accounts: ReadonlyMap<string, AccountId>,
  models: readonly Model[],
  faults: string[],
): Promise<void> {
  const balances = await readBalances(db);
  for (const [name, id] of accounts) {
    const expected = models.reduce((sum, model) => sum + model.balance(name), 0n);
    if (balances.get(id) !== expected)
      faults.push(`${name} has ${balances.get(id)} and must have ${expected}`);
  }
}
