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
import { settleJob } from '../billing/settle-job.ts';
import { endJob } from '../jobs/end-job.ts';
import { submitJob } from '../jobs/submit-job.ts';
import { marketFixture } from '../testing/market-fixture.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { type AuditRule, auditLedger, auditRules, totalsByKind } from './audit.store.ts';
import { startAuditWorker } from './audit.worker.ts';
import { auditBooks, BookAuditor } from './audit-books.ts';
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
async function rulesAfter(damage: (tx: Tx) => Promise<unknown>): Promise<AuditRule[]> {
  let found: AuditRule[] = [];
  await db
    .transaction(async (tx) => {
      for (const table of ['ledger_accounts', 'ledger_transfers', 'payments']) {
        await tx.execute(sql.raw(`alter table ${table} disable trigger user`));
      }
      await tx.execute(sql`alter table ledger_accounts drop constraint ledger_accounts_floor`);
      await damage(tx);
      found = (await auditLedger(tx)).map(({ rule }) => rule);
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
};

test('books that nobody has damaged are right', async () => {
  expect(await auditLedger(db)).toEqual([]);
});

test.each(auditRules)('the audit sees a breach of the rule "%s"', async (rule) => {
  expect(await rulesAfter(damages[rule])).toContain(rule);
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
