import { createDb, type Db, type Tx } from '@computefabric/db/client';
import { accountKinds, ledgerAccounts, overdrawnKinds } from '@computefabric/db/schema/ledger-accounts';
import { ledgerTransfers } from '@computefabric/db/schema/ledger-transfers';
import { createTestDatabase } from '@computefabric/db/testing';
import { newId, type UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { InvariantError } from '@computefabric/runtime/invariant';
import { and, eq, isNull, sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { postgresFault } from '../background/postgres-error.ts';
import { marketFixture } from '../testing/market-fixture.ts';
import { auditLedger } from './audit.store.ts';
import { balanceMicros, marketAccount, userAccount } from './chart.ts';
import { grantPlayMoney } from './grant-play-money.ts';
import { postTransfers, type Transfer } from './post-transfers.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let db: Db;
let market: ReturnType<typeof marketFixture>;
let renter: UserId;
let owner: UserId;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 20 });
  db = connection.db;
  market = marketFixture(db);
});
afterAll(async () => {
  await connection.close();
  await database.close();
});
beforeEach(async () => {
  [renter, owner] = [await market.addUser(), await market.addUser()];
});

const grant = (userId: UserId, micros: bigint) => db.transaction((tx) => grantPlayMoney(tx, userId, micros));

/** A transfer from a user's available money to their held money. */
async function holdOf(tx: Tx, userId: UserId, id: string, amountMicros: bigint): Promise<Transfer> {
  return {
    id,
    kind: 'hold',
    from: await userAccount(tx, 'renter_available', userId),
    to: await userAccount(tx, 'renter_held', userId),
    amountMicros,
  };
}

const hold = (userId: UserId, id: string, micros: bigint) =>
  db.transaction(async (tx) => postTransfers(tx, [await holdOf(tx, userId, id, micros)]));

const available = (userId: UserId) => balanceMicros(db, 'renter_available', userId);
const held = (userId: UserId) => balanceMicros(db, 'renter_held', userId);
/** What is wrong with the accounts; the holds here are without jobs. */
const rules = async () =>
  (await auditLedger(db))
    .map(({ rule }) => rule)
    .filter((rule) => rule === 'totals' || rule === 'balanced' || rule === 'floor');

describe('a transfer', () => {
  test('moves money once for its cause, however often and at the same time it is posted', async () => {
    await grant(renter, 1_000n);
    await Promise.all(Array.from({ length: 20 }, () => hold(renter, `hold:same:${renter}`, 300n)));
    expect([await available(renter), await held(renter)]).toEqual([700n, 300n]);
  });

  test('of the same cause with another amount or other accounts is a broken promise and moves nothing', async () => {
    await grant(renter, 1_000n);
    await grant(owner, 1_000n);
    const id = `hold:changed:${renter}`;
    await hold(renter, id, 300n);
    await expect(hold(renter, id, 301n)).rejects.toThrow(InvariantError);
    await expect(hold(owner, id, 300n)).rejects.toThrow(InvariantError);
    expect([await available(renter), await available(owner)]).toEqual([700n, 1_000n]);
  });

  test('beyond the available money is refused with what is there and what is needed', async () => {
    await grant(renter, 100n);
    const refusal = await hold(renter, `hold:much:${renter}`, 101n).catch((thrown: unknown) => thrown);
    expect(refusal).toBeInstanceOf(AppError);
    expect(refusal).toMatchObject({
      code: 'ledger/insufficient-funds',
      details: { available_micros: '100', needed_micros: '101', refused: `hold:much:${renter}` },
    });
    expect(await available(renter)).toBe(100n);
  });

  test('out of an account that must have the money, and has not, is a broken promise', async () => {
    const takeBack = db.transaction(async (tx) =>
      postTransfers(tx, [
        {
          id: `release:nothing:${renter}`,
          kind: 'release',
          from: await userAccount(tx, 'renter_held', renter),
          to: await userAccount(tx, 'renter_available', renter),
          amountMicros: 1n,
        },
      ]),
    );
    await expect(takeBack).rejects.toThrow(InvariantError);
  });

  test('of one call all succeed or none', async () => {
    await grant(renter, 100n);
    const two = db.transaction(async (tx) =>
      postTransfers(tx, [
        await holdOf(tx, renter, `hold:one:${renter}`, 60n),
        await holdOf(tx, renter, `hold:two:${renter}`, 60n),
      ]),
    );
    await expect(two).rejects.toMatchObject({
      code: 'ledger/insufficient-funds',
      details: { available_micros: '100', needed_micros: '120', refused: `hold:two:${renter}` },
    });
    expect([await available(renter), await held(renter)]).toEqual([100n, 0n]);
  });

  test('that race for the last money: as many get it as it is enough for, and no balance goes below zero', async () => {
    await grant(renter, 1_000n);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => hold(renter, `hold:race:${renter}:${n}`, 300n)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect([await available(renter), await held(renter)]).toEqual([100n, 900n]);
  });

  test('between the same accounts in both directions at once never ends in a deadlock', async () => {
    const users = [renter, owner, await market.addUser(), await market.addUser()];
    for (const user of users) await grant(user, 1_000_000n);
    const move = (n: number) =>
      db.transaction(async (tx) => {
        const [a, b] = [users[n % 4], users[(n + 1 + (n % 3)) % 4]];
        if (!a || !b) throw new Error('no user');
        const accounts = [
          await userAccount(tx, 'renter_available', a),
          await userAccount(tx, 'renter_available', b),
        ];
        const [from, to] = n % 2 === 0 ? accounts : accounts.toReversed();
        if (!from || !to) throw new Error('no account');
        await postTransfers(tx, [
          { id: `grant:${renter}:there:${n}`, kind: 'grant', from, to, amountMicros: 5n },
          { id: `grant:${renter}:back:${n}`, kind: 'grant', from: to, to: from, amountMicros: 3n },
        ]);
      });
    await Promise.all(Array.from({ length: 200 }, (_, n) => move(n)));
    expect(await rules()).toEqual([]);
  });

  test('of play money comes once, also after the amount in force has changed', async () => {
    await Promise.all([grant(renter, 500n), grant(renter, 500n)]);
    await grant(renter, 900n);
    expect(await available(renter)).toBe(500n);
  });
});

describe('what PostgreSQL itself refuses', () => {
  const refusedBy = async (statement: ReturnType<typeof sql>) => {
    const thrown: unknown = await db.execute(statement).catch((error: unknown) => error);
    return postgresFault(thrown);
  };
  /** A plain insert, as a program that knows nothing of ours would write it. */
  const rawTransfer = (row: {
    id: string;
    kind: string;
    from: string;
    to: string;
    micros: bigint | number;
    jobId?: string;
    leaseId?: string;
  }) => sql`insert into ledger_transfers (id, kind, debit_account_id, credit_account_id, amount_micros, job_id, lease_id)
    values (${row.id}, ${row.kind}, ${row.from}, ${row.to}, ${row.micros}, ${row.jobId ?? null}, ${row.leaseId ?? null})`;
  const accounts = () =>
    db.transaction(async (tx) => ({
      available: await userAccount(tx, 'renter_available', renter),
      held: await userAccount(tx, 'renter_held', renter),
      payable: await userAccount(tx, 'provider_payable', owner),
      fees: await marketAccount(tx, 'platform_fees'),
      promotions: await marketAccount(tx, 'promotions'),
    }));

  test('any change of an account that is not a transfer, and any change of a transfer', async () => {
    await grant(renter, 100n);
    await hold(renter, `hold:rules:${renter}`, 40n);
    const { available: id } = await accounts();
    for (const statement of [
      sql`update ledger_accounts set credits_micros = credits_micros + 1 where id = ${id}`,
      sql`update ledger_accounts set credits_micros = credits_micros - 1 where id = ${id}`,
      sql`update ledger_accounts set kind = 'promotions' where id = ${id}`,
      sql`delete from ledger_accounts where id = ${id}`,
      sql`truncate ledger_accounts`,
      sql`insert into ledger_accounts (id, kind, owner_id, credits_micros) values ('acct_rich', 'renter_debt', ${renter}, 5)`,
      sql`update ledger_transfers set amount_micros = 1 where id = ${`hold:rules:${renter}`}`,
      sql`delete from ledger_transfers`,
      sql`truncate ledger_transfers`,
    ]) {
      expect((await refusedBy(statement))?.code).toBe('23001');
    }
    expect(await available(renter)).toBe(60n);
  });

  test('a transfer with one side only: a plain insert moves both accounts, or is not made', async () => {
    const { available: to, promotions: from } = await accounts();
    const given = { kind: 'grant', from, to, micros: 100n };
    await db.execute(rawTransfer({ id: `grant:${renter}:raw`, ...given }));
    expect(await available(renter)).toBe(100n);
    expect(await rules()).toEqual([]);
    const refused = async (change: Partial<Parameters<typeof rawTransfer>[0]>) =>
      (await refusedBy(rawTransfer({ id: `grant:${renter}:no`, ...given, ...change })))?.constraint;
    expect(await refused({ to: 'acct_nobody' })).toBe('ledger_transfers_accounts');
    expect(await refused({ micros: 0 })).toBe('ledger_transfers_amount');
    expect(await refused({ micros: -5 })).toBe('ledger_transfers_amount');
    expect(await refused({ from: to })).toBe('ledger_transfers_two_accounts');
    expect(await refused({ kind: 'present' })).toBe('ledger_transfers_kind');
    expect(await refused({ id: `grant:${renter}:raw` })).toBe('ledger_transfers_pkey');
    expect(await available(renter)).toBe(100n);
  });

  test.each(accountKinds)('%s below zero, unless the chart says that it may be', async (kind) => {
    const to = (await accounts()).promotions;
    const ownerId = /^(renter|provider)_/.test(kind) ? renter : null;
    const id = `correction:${renter}:${kind}`;
    let constraint: string | undefined = 'none';
    await db
      .transaction(async (tx) => {
        await tx
          .insert(ledgerAccounts)
          .values({ id: newId('account'), kind, ownerId })
          .onConflictDoNothing();
        const [account] = await tx
          .select()
          .from(ledgerAccounts)
          .where(
            and(
              eq(ledgerAccounts.kind, kind),
              ownerId ? eq(ledgerAccounts.ownerId, ownerId) : isNull(ledgerAccounts.ownerId),
            ),
          );
        if (!account) throw new Error('no account');
        const balance = account.creditsMicros - account.debitsMicros;
        const other = kind === 'promotions' ? (await accounts()).available : to;
        const micros = balance > 0n ? balance + 1n : 1n;
        const thrown = await tx
          .execute(rawTransfer({ id, kind: 'correction', from: account.id, to: other, micros }))
          .catch((error: unknown) => error);
        const fault = postgresFault(thrown);
        constraint = fault?.constraint;
        if (fault) expect(JSON.parse(fault.detail ?? 'null')).toMatchObject({ kind, cause: id });
        throw new Error('roll back');
      })
      .catch((thrown: Error) => expect(thrown.message).toBe('roll back'));
    const mayBe = overdrawnKinds.some((overdrawn) => overdrawn === kind);
    expect(constraint).toBe(mayBe ? undefined : 'ledger_accounts_floor');
  });

  test('a second release of a job, a second bill of a try, and more out of a hold than is in it', async () => {
    await grant(renter, 1_000n);
    const jobs = [newId('job'), newId('job')] as const;
    const [jobId, otherJob] = jobs;
    const leaseId = newId('lease');
    const { available: from, held: to, payable, fees } = await accounts();
    for (const id of jobs) {
      await db.execute(rawTransfer({ id: `hold:${id}`, kind: 'hold', from, to, micros: 100n, jobId: id }));
    }
    const bill = { kind: 'earn', from: to, to: payable, jobId, leaseId };
    await db.execute(rawTransfer({ id: `earn:${jobId}`, ...bill, micros: 50n }));
    await db.execute(rawTransfer({ id: `fee:${jobId}`, ...bill, kind: 'fee', to: fees, micros: 10n }));
    const refused = async (row: Parameters<typeof rawTransfer>[0]) =>
      (await refusedBy(rawTransfer(row)))?.constraint;
    expect(await refused({ ...bill, id: `earn:${jobId}:again`, micros: 1n })).toBe(
      'ledger_transfers_one_bill',
    );
    const release = { kind: 'release', from: to, to: from, jobId };
    // 40 are left; 41 would be the other job's.
    expect(await refused({ ...release, id: `release:${jobId}`, micros: 41n })).toBe(
      'ledger_transfers_within_hold',
    );
    await db.execute(rawTransfer({ ...release, id: `release:${jobId}`, micros: 40n }));
    expect(await refused({ ...release, id: `release:${jobId}:2`, micros: 1n })).toBe(
      'ledger_transfers_one_release',
    );
    await db.execute(rawTransfer({ ...release, id: `release:${otherJob}`, jobId: otherJob, micros: 100n }));
    expect([await available(renter), await held(renter)]).toEqual([940n, 0n]);
  });
});

describe('the audit', () => {
  test('sees money that no transfer moved', async () => {
    await grant(renter, 100n);
    expect(await rules()).toEqual([]);
    await db
      .transaction(async (tx) => {
        await tx.execute(sql`alter table ledger_accounts disable trigger ledger_accounts_totals_grow`);
        await tx.execute(
          sql`update ledger_accounts set credits_micros = credits_micros + 7 where owner_id = ${renter} and kind = 'renter_available'`,
        );
        const found = await auditLedger(tx);
        expect(found.map(({ rule }) => rule).toSorted()).toContain('totals');
        expect(found.map(({ rule }) => rule)).toContain('balanced');
        throw new Error('roll back');
      })
      .catch((thrown: Error) => expect(thrown.message).toBe('roll back'));
  });
});

test('any history of transfers leaves the books balanced and exactly as a plain sum of them says', async () => {
  const people = [renter, owner, await market.addUser()];
  let round = 0;
  const step = fc.record({
    from: fc.nat(3),
    to: fc.nat(3),
    fromHeld: fc.boolean(),
    toHeld: fc.boolean(),
    amount: fc.bigInt({ min: 1n, max: 60n }),
    /** Small, so that causes come back. */
    cause: fc.nat(12),
    together: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      round += 1;
      const prefix = `grant:${renter}:${round}`;
      /** Person 3 is the market's promotions, the source of all money. */
      const accountOf = (tx: Tx, person: number, isHeld: boolean) => {
        const user = people[person];
        if (!user) return marketAccount(tx, 'promotions');
        return userAccount(tx, isHeld ? 'renter_held' : 'renter_available', user);
      };
      const transferOf = async (tx: Tx, one: (typeof steps)[number]): Promise<Transfer | null> => {
        const [from, to] = [
          await accountOf(tx, one.from, one.fromHeld),
          await accountOf(tx, one.to, one.toHeld),
        ];
        const id = `${prefix}:${one.cause}`;
        return from === to ? null : { id, kind: 'grant', from, to, amountMicros: one.amount };
      };
      const run = (one: (typeof steps)[number]) =>
        db
          .transaction(async (tx) => {
            const transfer = await transferOf(tx, one);
            if (transfer) await postTransfers(tx, [transfer]);
          })
          .catch((thrown: unknown) => {
            if (!(thrown instanceof AppError || thrown instanceof InvariantError)) throw thrown;
          });
      let batch: Promise<void>[] = [];
      for (const one of steps) {
        batch.push(run(one));
        if (one.together) continue;
        await Promise.all(batch);
        batch = [];
      }
      await Promise.all(batch);
      expect(await rules()).toEqual([]);
      const transfers = await db.select().from(ledgerTransfers);
      for (const account of await db.select().from(ledgerAccounts)) {
        const sum = (side: 'debitAccountId' | 'creditAccountId') =>
          transfers.filter((t) => t[side] === account.id).reduce((total, t) => total + t.amountMicros, 0n);
        expect([account.creditsMicros, account.debitsMicros]).toEqual([
          sum('creditAccountId'),
          sum('debitAccountId'),
        ]);
        if (account.kind !== 'promotions') expect(account.creditsMicros >= account.debitsMicros).toBe(true);
      }
    }),
    { numRuns: 25 },
  );
}, 60_000);
