import { newId, type JobId } from '@computefabric/protocol/ids';
import { statementCsv } from '@computefabric/protocol/statement-csv';
import type { EarningsStatement } from '@computefabric/protocol/user-api/earnings';
import { providers } from '@computefabric/db/schema/providers';
import { InvariantError } from '@computefabric/runtime/invariant';
import { AppError } from '@computefabric/runtime/errors';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyDecision } from '../disputes/decide-dispute.ts';
import { findDispute, insertDispute, lockPayment, movePayment } from '../disputes/dispute.store.ts';
import { auditLedger } from '../ledger/audit.store.ts';
import { type PayoutBench, startPayoutBench, type TestOwner } from '../testing/payout-bench.ts';
import { balancesOf } from '../testing/stripe-market.ts';
import { createPayout } from './create-payout.ts';
import { followPayout } from './follow-payout.ts';
import { listPayouts } from './payout.store.ts';
import { readEarnings } from './read-earnings.ts';
import { periodOf, readStatement } from './read-statement.ts';
import { correctPayout, recordPayout } from './record-payout.ts';

// `npm run payouts:kills` plays more of them.
const longForm = process.env.PAYOUT_KILLS !== undefined;

let bench: PayoutBench;
beforeAll(async () => {
  bench = await startPayoutBench({ holdSeconds: 0, firstJobs: 0, minimumMicros: 10_000n });
});
afterAll(() => bench.close());

/** A generator whose numbers follow from its seed, so that a failure can be played again. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

async function refund(job: JobId, part: bigint): Promise<void> {
  const id = newId('dispute');
  await bench.db.transaction(async (tx) => {
    const payment = await lockPayment(tx, job);
    if (payment?.state !== 'succeeded') return;
    await insertDispute(tx, {
      id,
      jobId: job,
      userId: payment.userId,
      reason: 'other',
      message: 'x',
      evidence: {},
    });
    await movePayment(tx, payment.id, 'disputed');
    const dispute = await findDispute(tx, id);
    if (!dispute) throw new Error('it was made');
    await applyDecision(tx, dispute, {
      outcome: 'granted',
      blame: 'provider',
      explanation: 'x',
      by: { operator: bench.renter },
      refundMicros: part,
    });
  });
}

/** Something happens to the owner's money, or is refused. */
async function happen(owner: TestOwner, jobs: JobId[], random: () => number): Promise<void> {
  const { db, payouts } = bench;
  const { userId } = owner;
  const dice = random();
  const micros = 1n + BigInt(Math.floor(random() * 3_000_000));
  try {
    if (dice < 0.45) {
      jobs.push(await bench.earn(owner, micros, { age: 'young', feeMicros: micros / 7n }));
    } else if (dice < 0.6) {
      const [job] = jobs.splice(Math.floor(random() * jobs.length), 1);
      if (job) await refund(job, 1n + micros / 5n);
    } else if (dice < 0.75) {
      const { id } = await db.transaction((tx) =>
        createPayout(tx, payouts.settings, { userId, amountMicros: null, leastMicros: 10_000n }),
      );
      if (random() < 0.8) await followPayout(payouts, id);
    } else if (dice < 0.85) {
      await db.transaction((tx) =>
        recordPayout(tx, payouts.settings, {
          to: userId,
          amountMicros: micros / 3n + 1n,
          reference: '=cash',
          recordedBy: bench.renter,
        }),
      );
    } else {
      const rows = await listPayouts(db, { userId, state: undefined, limit: 50, before: undefined });
      const row = rows[Math.floor(random() * rows.length)];
      if (row?.method === 'manual') await db.transaction((tx) => correctPayout(tx, row.id, 'wrong'));
      else if (row?.transferId && row.returnedMicros < row.amountMicros) {
        const cause = newId('payout');
        await bench.gateway.reverseTransfer({ cause, transferId: row.transferId, amountMicros: 10_000n });
        await followPayout(payouts, row.id);
      } else if (row) await followPayout(payouts, row.id);
    }
  } catch (thrown) {
    if (!(thrown instanceof AppError || thrown instanceof InvariantError)) throw thrown;
  }
}

const sum = <T>(items: readonly T[], of: (item: T) => string) =>
  items.reduce((total, item) => total + BigInt(of(item)), 0n);

/** What the ledger says, added up from the transfers alone. */
async function ledgerOf({ userId }: TestOwner) {
  const now = await balancesOf(bench.db, userId);
  return (
    (now.provider_held_back ?? 0n) +
    (now.provider_payable ?? 0n) +
    (now.provider_in_transit ?? 0n) +
    (now.provider_debt ?? 0n)
  );
}

function expectToAddUp(statement: EarningsStatement): void {
  const { lines, payouts, totals } = statement;
  for (const line of lines) {
    expect(BigInt(line.net_micros)).toBe(
      BigInt(line.gross_micros) - BigInt(line.fee_micros) - BigInt(line.refund_micros),
    );
  }
  expect(BigInt(totals.net_micros)).toBe(sum(lines, (line) => line.net_micros));
  const of = (kind: string) => payouts.filter((payout) => payout.kind === kind);
  expect(BigInt(totals.paid_micros)).toBe(sum(of('paid'), (payout) => payout.amount_micros));
  expect(BigInt(totals.returned_micros)).toBe(sum(of('returned'), (payout) => payout.amount_micros));
  expect(BigInt(statement.closing_micros)).toBe(
    BigInt(statement.opening_micros) +
      BigInt(totals.net_micros) -
      BigInt(totals.paid_micros) +
      BigInt(totals.returned_micros),
  );
  const { closing } = statement;
  expect(BigInt(statement.closing_micros)).toBe(
    BigInt(closing.held_micros) +
      BigInt(closing.payable_micros) +
      BigInt(closing.in_transit_micros) -
      BigInt(closing.owed_micros),
  );
  // Each row of the file leads from the balance before it to its own.
  const rows = statementCsv(statement)
    .trimEnd()
    .split('\r\n')
    .slice(1)
    .map((row) => row.split(','));
  const micros = (text = '') => BigInt(text.replace('.', ''));
  for (const [index, row] of rows.entries()) {
    const before = rows[index - 1];
    if (before && index < rows.length - 1) {
      expect(micros(row.at(-1))).toBe(micros(before.at(-1)) + micros(row.at(-2)));
    }
  }
  expect(micros(rows.at(-1)?.at(-1))).toBe(micros(rows.at(-2)?.at(-1)));
}

test('over random histories the statements of days and of the month are the ledger, to the micro', {
  timeout: 120_000,
}, async () => {
  for (const seed of longForm ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] : [1]) {
    const random = randomFrom(seed);
    const owner = await bench.addPaidOwner();
    const jobs: JobId[] = [];
    for (let step = 0; step < 30; step += 1) await happen(owner, jobs, random);
    // Spread over last month and this one, so that there are openings other than zero.
    await bench.db.transaction(async (tx) => {
      await tx.execute(sql`alter table ledger_transfers disable trigger user`);
      await tx.execute(sql`update ledger_transfers set created_at = created_at - make_interval(days => (abs(hashtext(id)) % 40))
        where debit_account_id in (select id from ledger_accounts where owner_id = ${owner.userId})
          or credit_account_id in (select id from ledger_accounts where owner_id = ${owner.userId})`);
      await tx.execute(sql`alter table ledger_transfers enable trigger user`);
    });
    const day = (ago: number) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
    let closing = '0';
    for (let ago = 41; ago >= 0; ago -= 1) {
      const statement = await readStatement(bench.db, owner.userId, day(ago));
      expect(statement.opening_micros).toBe(closing);
      expectToAddUp(statement);
      closing = statement.closing_micros;
    }
    expect(BigInt(closing)).toBe(await ledgerOf(owner));
    const months = [...new Set([day(41), day(20), day(0)].map((each) => each.slice(0, 7)))];
    for (const month of months) expectToAddUp(await readStatement(bench.db, owner.userId, month));
    const last = await readStatement(bench.db, owner.userId, day(0).slice(0, 7));
    expect(BigInt(last.closing_micros)).toBe(await ledgerOf(owner));
    const earnings = await readEarnings(bench.payouts, owner.userId);
    expect(
      BigInt(earnings.held_micros) +
        BigInt(earnings.payable_micros) +
        BigInt(earnings.frozen_micros) +
        BigInt(earnings.in_transit_micros) -
        BigInt(earnings.owed_micros),
    ).toBe(await ledgerOf(owner));
  }
  expect(await auditLedger(bench.db)).toEqual([]);
});

test('in a spreadsheet a machine’s name or a reference is text and no formula', async () => {
  const owner = await bench.addPaidOwner();
  await bench.db
    .update(providers)
    .set({ name: '=HYPERLINK("http://evil.example","x")' })
    .where(eq(providers.id, owner.machine));
  await bench.earn(owner, 2_000_000n, { age: 'young' });
  const statement = await readStatement(bench.db, owner.userId, new Date().toISOString().slice(0, 7));
  expect(statementCsv(statement)).toContain(`"'=HYPERLINK(""http://evil.example"",""x"")"`);
});

test('a period is a month or a day in UTC', () => {
  expect(periodOf('2026-12')).toEqual({
    from: new Date('2026-12-01T00:00:00Z'),
    until: new Date('2027-01-01T00:00:00Z'),
  });
  expect(periodOf('2026-02-28')).toEqual({
    from: new Date('2026-02-28T00:00:00Z'),
    until: new Date('2026-03-01T00:00:00Z'),
  });
});
