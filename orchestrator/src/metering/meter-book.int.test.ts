import { createDb } from '@computefabric/db/client';
import { meteringRecords } from '@computefabric/db/schema/metering-records';
import { createTestDatabase } from '@computefabric/db/testing';
import { checkChain, countersign } from '@computefabric/runtime/receipts/metering-chain';
import { newPrivateKey, signerOf } from '@computefabric/runtime/receipts/signatures';
import { silentLogger } from '@computefabric/runtime/log';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acceptLease, exitLease, reportEnd, startLease } from '../leases/report-lease.ts';
import { marketFixture, testCards } from '../testing/market-fixture.ts';
import { MeterBook } from './meter-book.ts';
import { findMeteredTries, insertProviderKey, listRecords } from './metering.store.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let pool: ReturnType<typeof createDb>;
let market: ReturnType<typeof marketFixture>;
const signer = signerOf(newPrivateKey());
const machineSigner = signerOf(newPrivateKey());

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createDb(database.url);
  market = marketFixture(pool.db);
});
afterAll(async () => {
  await pool.close();
  await database.close();
});

/** A clock of this process that the test moves on. */
function newBook() {
  const clock = { ms: 0 };
  return {
    clock,
    book: new MeterBook({ db: pool.db, log: silentLogger, signer, monotonicMs: () => clock.ms }),
  };
}

async function runningTry() {
  const owner = await market.addUser();
  const providerId = await market.addMachine(owner, { gpus: testCards(1) });
  const jobId = await market.addJob(owner, { timeLimitSeconds: 3_600 });
  await market.matchOnce();
  const claim = await market.claimOf(jobId);
  await acceptLease(market.deps, claim);
  await startLease(market.deps, claim, null);
  await pool.db.transaction((tx) =>
    insertProviderKey(tx, {
      providerId,
      signingKeyId: machineSigner.keyId,
      publicKey: machineSigner.publicKey,
    }),
  );
  const terms = async () => {
    const [found] = await findMeteredTries(pool.db, [claim.leaseId]);
    if (!found) throw new Error('the try is there');
    return found.terms;
  };
  const records = async () => (await listRecords(pool.db, [claim.leaseId])).get(claim.leaseId) ?? [];
  return { jobId, claim, terms, records };
}

const keys = {
  market: new Map([[signer.keyId, signer.publicKey]]),
  agent: new Map([[machineSigner.keyId, machineSigner.publicKey]]),
};

test('a long try has a record for each minute, brought by its heartbeats and signed by its machine', async () => {
  const { claim, terms, records } = await runningTry();
  const { book, clock } = newBook();
  for (let minute = 0; minute < 3; minute += 1) {
    for (let beat = 0; beat < 6; beat += 1) {
      await market.ageLease(claim.leaseId, 10);
      // The records age with the try, as all of its past does.
      await pool.db.execute(sql`alter table metering_records disable trigger user`);
      await pool.db.execute(sql`update metering_records set from_at = from_at - interval '10 s',
        to_at = to_at - interval '10 s' where lease_id = ${claim.leaseId}`);
      await pool.db.execute(sql`alter table metering_records enable trigger user`);
      clock.ms += 10_000;
      const record = await book.heard(claim.leaseId);
      if (record) await book.countersigned(claim, await countersign(machineSigner, await terms(), record));
    }
  }
  const written = await records();
  expect(written).toHaveLength(2);
  expect(written.every((record) => record.agent_signature !== null)).toBe(true);
  expect(written.map(({ metered_ms }) => Math.round(metered_ms / 10_000))).toEqual([7, 6]);
});

test('records follow each other from the terms to the end, and the last one counts what is billed', async () => {
  const { claim, terms, records } = await runningTry();
  const { book, clock } = newBook();
  await book.heard(claim.leaseId);
  await market.ageLease(claim.leaseId, 70);
  clock.ms += 70_000;
  expect(await book.heard(claim.leaseId)).not.toBeNull();
  await exitLease(market.deps, claim, 0);
  await reportEnd(market.deps, claim, { reason: 'exited-zero', detail: null, exit_code: 0, log_chunks: 0 });
  const last = await book.close(claim.leaseId);
  expect(last).toMatchObject({ seq: 2, final: true });
  expect(await book.close(claim.leaseId)).toEqual(last);
  expect(checkChain(await terms(), await records(), keys)).toEqual([]);
  const { billedMs } = await market.lastLease((await terms()).jobId);
  expect(last?.total_ms).toBe(billedMs);
});

test('two orchestrators that hear of the same try write its minute down once', async () => {
  const { claim, records, terms } = await runningTry();
  const books = [newBook(), newBook()];
  for (const { book } of books) await book.heard(claim.leaseId);
  await market.ageLease(claim.leaseId, 61);
  for (const { clock } of books) clock.ms += 61_000;
  await Promise.all(books.map(({ book }) => book.heard(claim.leaseId)));
  for (const { clock } of books) clock.ms += 61_000;
  await Promise.all(books.map(({ book }) => book.heard(claim.leaseId)));
  expect(await records()).toHaveLength(1);
  expect(checkChain(await terms(), await records(), keys)).toEqual([]);
});

test('a heartbeat between two records asks the database for nothing', async () => {
  const { claim, records } = await runningTry();
  const { book, clock } = newBook();
  await book.heard(claim.leaseId);
  await market.ageLease(claim.leaseId, 600);
  clock.ms += 59_000;
  expect(await book.heard(claim.leaseId)).toBeNull();
  expect(await records()).toEqual([]);
});

test('what was signed cannot be changed any more, not even by ourselves', async () => {
  const { claim, terms } = await runningTry();
  const { book, clock } = newBook();
  await book.heard(claim.leaseId);
  await market.ageLease(claim.leaseId, 61);
  clock.ms += 61_000;
  const record = await book.heard(claim.leaseId);
  if (!record) throw new Error('a record was due');
  const other = { ...claim, providerId: await market.addMachine(await market.addUser()) };
  const given = await countersign(machineSigner, await terms(), record);
  await book.countersigned(other, given);
  await book.countersigned(claim, { ...given, signature: await machineSigner.sign('something else') });
  const mine = eq(meteringRecords.leaseId, claim.leaseId);
  const [unsigned] = await pool.db.select().from(meteringRecords).where(mine);
  expect(unsigned?.agentSignature).toBeNull();
  await book.countersigned(claim, given);
  for (const statement of [
    sql`update metering_records set total_ms = total_ms + 1 where lease_id = ${claim.leaseId}`,
    sql`update metering_records set agent_signature = 'x' where lease_id = ${claim.leaseId}`,
    sql`delete from metering_records where lease_id = ${claim.leaseId}`,
  ]) {
    await expect(pool.db.execute(statement)).rejects.toThrow();
  }
});
