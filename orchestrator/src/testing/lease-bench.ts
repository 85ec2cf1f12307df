import { createDb, type Db } from '@computefabric/db/client';
import { createTestDatabase } from '@computefabric/db/testing';
import type { JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import type { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { LeaseClaim } from '../leases/lease.store.ts';
import { acceptLease, exitLease, startLease } from '../leases/report-lease.ts';
import { marketFixture, testCards } from './market-fixture.ts';

/** How far a try has come. */
export type TryStep = 'offered' | 'active' | 'running' | 'exited';

/** What a machine reports of a program that has ended as it should. */
export const endedWell = { reason: 'exited-zero', detail: null, exit_code: 0, log_chunks: 0 } as const;

/**
 * For tests of what happens to tries: a database for the file, and before each test a new person with one machine,
 * the only one that is online. Call it at the top of the file; it registers the hooks.
 *
 * @param cards GPUs of the machine
 */
export function leaseBench(cards: number) {
  let database: Awaited<ReturnType<typeof createTestDatabase>>;
  let connection: ReturnType<typeof createDb>;
  let now: { market: ReturnType<typeof marketFixture>; person: UserId; machine: ProviderId } | undefined;

  beforeAll(async () => {
    database = await createTestDatabase();
    connection = createDb(database.url);
  });
  afterAll(async () => {
    await connection.close();
    await database.close();
  });
  beforeEach(async () => {
    // What earlier tests left stays in the database, and takes no part.
    await connection.pool.query(`update jobs set state = 'cancelled', end_reason = 'cancelled',
      finished_at = now() where finished_at is null`);
    await connection.pool.query(`update leases set state = 'lost' where state in ('offered', 'active')`);
    await connection.pool.query(`update providers set state = 'offline'`);
    const market = marketFixture(connection.db);
    const person = await market.addUser();
    now = { market, person, machine: await market.addMachine(person, { gpus: testCards(cards) }) };
  });

  const current = () => {
    invariant(now, 'only within a test');
    return now;
  };

  return {
    get db(): Db {
      return connection.db;
    },
    get pool(): Pool {
      return connection.pool;
    },
    get market() {
      return current().market;
    },
    /** Rents, and owns the machine. */
    get person() {
      return current().person;
    },
    get machine() {
      return current().machine;
    },
    /** The job's next try, brought so far; a rest before it is cut short. */
    async run(job: JobId, upTo: TryStep = 'running'): Promise<LeaseClaim> {
      const { market } = current();
      await market.endBackoff(job);
      await market.matchOnce();
      const claim = await market.claimOf(job);
      if (upTo === 'offered') return claim;
      await acceptLease(market.deps, claim);
      if (upTo === 'active') return claim;
      await startLease(market.deps, claim, 'sha256:abc');
      if (upTo === 'exited') await exitLease(market.deps, claim, 0);
      return claim;
    },
  };
}
