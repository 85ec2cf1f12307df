import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createDb, type Db, type Tx } from '@computefabric/db/client';
import { createTestDatabase } from '@computefabric/db/testing';
import { type JobId, newId, type UserId } from '@computefabric/protocol/ids';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { createLogger } from '@computefabric/runtime/log';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { soleLeader } from '../background/leadership.ts';
import { setBudget } from '../billing/budgets.store.ts';
import { settleJob } from '../billing/settle-job.ts';
import { endJob } from '../jobs/end-job.ts';
import { submitJob } from '../jobs/submit-job.ts';
import { marketFixture } from '../testing/market-fixture.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { type AuditFinding, type AuditRule, auditLedger, auditRules, totalsByKind } from './audit.store.ts';
import { startAuditWorker } from './audit.worker.ts';
import { auditBooks, BookAuditor } from './audit-books.ts';
import { marketAccount } from './chart.ts';
import { grantPlayMoney } from './grant-play-money.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let db: Db;
let renter: UserId;
let openJob: JobId;
let settledJob: JobId;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url);
  db = connection.db;
  renter = await marketFixture(db).addUser();
  await db.transaction((tx) => grantPlayMoney(tx, renter, 10_000_000n));
  const submit = () =>
    db.transaction(async (tx) => {
      const spec = jobSpec.parse({ image: 'busybox' });
      return (await submitJob(tx, { userId: renter, spec, defaultMaxPricePerHourMicros: 1_000_000n })).id;
    });
  for (const period of ['month', 'total'] as const) {
    const budget = { userId: renter, apiKeyId: null, period, onLimit: 'stop-new' as const };
    await db.transaction((tx) => setBudget(tx, { ...budget, amountMicros: 10_000_000n }));
  }
  openJob = await submit();
  settledJob = await submit();
  await db.transaction((tx) => endJob(tx, { jobId: settledJob, reason: 'exited-zero', exitCode: 0 }));
  await settleJob(db, settledJob);
});
afterAll(async () => {
  await connection.close();
  await database.close();
});

/** What the audit says after damage that the rules of the database, switched off for it, would have refused. */
async function findingsAfter(damage: (tx: Tx) => Promise<unknown>): Promise<AuditFinding[]> {
  let found: AuditFinding[] = [];
  await db
    .transaction(async (tx) => {
      for (const table of ['ledger_accounts', 'ledger_transfers', 'payments']) {
        await tx.execute(sql.raw(`alter table ${table} disable trigger user`));
      }
      await tx.execute(sql`alter table ledger_accounts drop constraint ledger_accounts_floor`);
      await damage(tx);
      found = await auditLedger(tx);
      throw new Error('roll back');
    })
    .catch((thrown: Error) => expect(thrown.message).toBe('roll back'));
  return found;
}

const damages: Record<AuditRule, (tx: Tx) => Promise<unknown>> = {
  totals: (tx) => tx.execute(sql`delete from ledger_transfers where kind = 'grant'`),
  balanced: (tx) =>
    tx.execute(
      sql`update ledger_accounts set credits_micros = credits_micros + 7 where owner_id = ${renter} and kind = 'renter_available'`,
    ),
  floor: (tx) =>
    tx.execute(
      sql`update ledger_accounts set debits_micros = credits_micros + 7 where owner_id = ${renter} and kind = 'renter_available'`,
    ),
  held: (tx) => tx.execute(sql`delete from payments where job_id = ${openJob}`),
  hold: (tx) => tx.execute(sql`update payments set hold_micros = hold_micros + 1 where job_id = ${openJob}`),
  settled: (tx) => tx.execute(sql`update payments set amount_micros = 1 where job_id = ${settledJob}`),
  bill: (tx) =>
    tx.execute(
      sql`insert into leases (id, job_id, provider_id, attempt, state, price_per_hour_micros, gpu_ids, cpu_milli, memory_mib, expires_at, cost_micros, earned_micros)
        values (${newId('lease')}, ${settledJob}, 'prov_x', 1, 'released', 1, '{}', 1, 1, now(), 5, 5)`,
    ),
  orphan: (tx) => tx.execute(sql`delete from payments where job_id = ${settledJob}`),
  overdue: async (tx) => {
    await tx.execute(
      sql`update jobs set state = 'succeeded', end_reason = 'exited-zero', finished_at = now() - interval '11 minutes' where id = ${openJob}`,
    );
  },
  'top-ups': (tx) =>
    tx.execute(
      sql`insert into top_ups (id, user_id, method, state, amount_micros) values ('topup_x', ${renter}, 'checkout', 'succeeded', 10000)`,
    ),
  payouts: (tx) =>
    tx.execute(
      sql`insert into payouts (id, user_id, method, state, amount_micros, account_id)
        values ('payout_x', ${renter}, 'stripe', 'created', 10000, 'acct_x')`,
    ),
  clearing: (tx) =>
    tx.execute(
      sql`insert into statement_lines (id, type, amount_micros, fee_micros, happened_at) values ('txn_x', 'stripe_fee', -10000, 0, now())`,
    ),
  budgets: (tx) => tx.execute(sql`update budgets set reserved_micros = 0 where user_id = ${renter}`),
};

test('books that nobody has damaged are right', async () => {
  expect(await auditLedger(db)).toEqual([]);
});

test.each(auditRules)('the audit sees a breach of the rule "%s"', async (rule) => {
  expect((await findingsAfter(damages[rule])).map((finding) => finding.rule)).toContain(rule);
});

const topUp = (state: string) =>
  sql`insert into top_ups (id, user_id, method, state, amount_micros) values ('topup_x', ${renter}, 'checkout', ${state}, 10000)`;

test.each<[kind: string, booked: number, said: number, damage: (tx: Tx) => Promise<unknown>]>([
  ['top-up', 0, -10_000, (tx) => tx.execute(topUp('succeeded'))],
  [
    'card-refund',
    0,
    10_000,
    async (tx) => {
      await tx.execute(topUp('open'));
      await tx.execute(
        sql`insert into card_refunds (id, user_id, top_up_id, amount_micros) values ('cardrefund_x', ${renter}, 'topup_x', 10000)`,
      );
    },
  ],
  [
    'dispute-lost',
    0,
    10_000,
    async (tx) => {
      await tx.execute(topUp('open'));
      await tx.execute(
        sql`insert into card_disputes (id, user_id, top_up_id, amount_micros, reason, state) values ('dp_x', ${renter}, 'topup_x', 10000, 'fraudulent', 'lost')`,
      );
    },
  ],
  [
    'payout-sent',
    0,
    10_000,
    (tx) =>
      tx.execute(
        sql`insert into payouts (id, user_id, method, state, amount_micros, account_id, transfer_id)
          values ('payout_x', ${renter}, 'stripe', 'sent', 10000, 'acct_x', 'tr_x')`,
      ),
  ],
  [
    'payout-returned',
    -7,
    0,
    async (tx) => {
      await moveFromStripe(tx, 'payout-returned', 'payout-returned:trr_x');
    },
  ],
  [
    'stripe-fee',
    -7,
    -6,
    async (tx) => {
      await tx.execute(
        sql`insert into statement_lines (id, type, amount_micros, fee_micros, happened_at) values ('txn_x', 'charge', 10000, -6, now())`,
      );
      await moveFromStripe(tx, 'stripe-fee', 'stripe-fee:txn_x');
    },
  ],
  ['grant', -7, 0, (tx) => moveFromStripe(tx, 'grant', 'grant:topup_x')],
])('money at Stripe is told apart by kind: %s', async (kind, booked, said, damage) => {
  const found = (await findingsAfter(damage)).filter(({ rule }) => rule === 'clearing');
  expect(found).toEqual([{ rule: 'clearing', subject: kind, detail: `booked ${booked}, said ${said}` }]);
});

/** Seven micros out of the account at Stripe, with nothing behind them. */
async function moveFromStripe(tx: Tx, kind: string, id: string): Promise<void> {
  const clearing = await marketAccount(tx, 'stripe_clearing');
  const fees = await marketAccount(tx, 'stripe_fees');
  await tx.execute(
    sql`insert into ledger_transfers (id, kind, debit_account_id, credit_account_id, amount_micros) values (${id}, ${kind}, ${clearing}, ${fees}, 7)`,
  );
}

test.each([
  ['reserved', sql`reserved_micros = reserved_micros + 1`],
  ['reserved', sql`reserved_micros = reserved_micros - 1`],
  ['spent', sql`spent_micros = spent_micros + 1`],
])('a budget that counts a micro wrong is found: %s', async (_what, change) => {
  for (const period of ['month', 'total']) {
    const found = await findingsAfter((tx) =>
      tx.execute(sql`update budgets set ${change} where user_id = ${renter} and period = ${period}`),
    );
    expect(found).toMatchObject([{ rule: 'budgets', subject: expect.stringMatching(/^budget_/) }]);
  }
});

test('a settlement that a budget has not counted is found, and one of an earlier month is none', async () => {
  const spent = (tx: Tx, since: string) =>
    tx.execute(
      sql`update payments set amount_micros = 5, settled_at = now() - ${since}::interval where job_id = ${settledJob}`,
    );
  const budgetsOf = (found: AuditFinding[]) => found.filter(({ rule }) => rule === 'budgets');
  expect(budgetsOf(await findingsAfter((tx) => spent(tx, '0 seconds')))).toHaveLength(2);
  expect(budgetsOf(await findingsAfter((tx) => spent(tx, '40 days')))).toEqual([]);
});

test('the chart sums to zero and shows every kind of account', async () => {
  const kinds = await totalsByKind(db);
  expect(kinds.reduce((sum, { balanceMicros }) => sum + balanceMicros, 0n)).toBe(0n);
  expect(kinds.find(({ kind }) => kind === 'promotions')).toMatchObject({ balanceMicros: -10_000_000n });
  expect(kinds.find(({ kind }) => kind === 'renter_held')).toMatchObject({ balanceMicros: 1_000_000n });
  const { pending } = await auditBooks(db);
  expect(pending).toMatchObject({ count: 1, micros: 1_000_000n });
});

/** Damage that stays until it is taken back. */
async function damaged(work: () => Promise<void>): Promise<void> {
  const add = (micros: number) =>
    db.transaction(async (tx) => {
      await tx.execute(sql`alter table ledger_accounts disable trigger user`);
      await tx.execute(
        sql`update ledger_accounts set credits_micros = credits_micros + ${micros} where kind = 'renter_available'`,
      );
      await tx.execute(sql`alter table ledger_accounts enable trigger user`);
    });
  await add(1);
  try {
    await work();
  } finally {
    await add(-1);
  }
}

test('a single micro too much is an alarm of the worker and of the command', async () => {
  const lines: string[] = [];
  const log = createLogger('test', 'info', { write: (line: string) => void lines.push(line) });
  const run = async () =>
    await promisify(execFile)(
      'npx',
      ['tsx', fileURLToPath(new URL('audit-command/main.ts', import.meta.url)), '--json'],
      { env: { ...process.env, DATABASE_URL: database.url }, timeout: 60_000 },
    );
  await damaged(async () => {
    const worker = startAuditWorker({
      auditor: new BookAuditor(db),
      log,
      leadership: soleLeader,
      everySeconds: 3_600,
    });
    await waitUntil('the worker has looked', async () => lines.length > 0);
    await worker.close();
    expect(lines.join('')).toContain('the books are wrong');
    expect(lines.join('')).toContain('"rule":"totals"');
    await expect(run()).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('"balanced"') });
  });
  expect(JSON.parse((await run()).stdout)).toMatchObject({ findings: [], pending_holds: { count: 1 } });
}, 120_000);
